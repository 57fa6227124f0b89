import { adapters } from '@glulam/model';
import { compose, definePlugin } from '@glulam/plugin';
import { choose, runConfigSchema } from '@glulam/trainer';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { preset } from '../config/preset.js';
import { configSchema } from './config-schema.js';

const withSchema = (kind: string, schema: z.ZodType) =>
  definePlugin({
    name: kind,
    contract: 2,
    register: (registry) =>
      registry.contribute(adapters, {
        create: () => ({
          kind,
          schema,
          create: () => ({ kind, at: () => undefined, peftConfig: () => ({}) }),
          fromPeft: () => undefined,
        }),
      }),
  });
const node = z.object({
  get next() {
    return node.optional();
  },
});
const composition = compose([
  ...preset(),
  withSchema('ia3', z.strictObject({ targets: z.array(z.string()) })),
  withSchema('either', z.union([z.strictObject({ a: z.int() }), z.strictObject({ b: z.int() })])),
  withSchema('endless', node),
]);
const schema = configSchema(composition);
const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema);

const data = { train: 'a.jsonl' };
const base = 'b';

/** Whether the run would take the config too. */
function runTakes(config: Record<string, unknown>): boolean {
  const { success, data: parsed } = runConfigSchema.safeParse(config);
  if (!success) return false;
  try {
    choose(composition, adapters, 'adapter', parsed.adapter);
    return true;
  } catch {
    return false;
  }
}

describe('a JSON Schema of configs', () => {
  test.each<[string, Record<string, unknown>]>([
    ['the least', { base, data }],
    ['a kind and its options', { base, data, adapter: { kind: 'lora', r: { first: 0, repeats: 8 }, bias: 'all' } }],
    ['the kind that stands where none is named', { base, data, adapter: { r: 4 } }],
    [
      'nullable options and templates',
      { base, data, adapter: { exclude_modules: null, init_lora_weights: 'pissa_niter_4' } },
    ],
    ['a kind of another plugin', { base, data, adapter: { kind: 'ia3', targets: ['k_proj'] } }],
    ['alternatives, which are left open', { base, data, adapter: { kind: 'either', a: 1 } }],
    ['a schema that refers to itself, likewise', { base, data, adapter: { kind: 'endless', next: {} } }],
    [
      'several files',
      {
        base,
        data: {
          train: [
            { file: 'a', weight: 1 },
            { file: 'b', weight: 2 },
          ],
          heldOut: 0.1,
        },
      },
    ],
  ])('takes %s', (_, config) => {
    expect(runTakes(config)).toBe(true);
    expect(validate(config), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no base', { data }],
    ['an unknown key', { base, data, trian: {} }],
    ['an unknown kind', { base, data, adapter: { kind: 'ia4' } }],
    ['an unknown option of a kind', { base, data, adapter: { kind: 'lora', rank: 8 } }],
    ['an option of another kind', { base, data, adapter: { kind: 'lora', on: 'repeats' } }],
    ['an option of the wrong type', { base, data, adapter: { r: '8' } }],
    ['an option that is missing', { base, data, adapter: { kind: 'ia3' } }],
    ['options of a kind that has none', { base, data, adapter: { kind: 'full', r: 8 } }],
    ['a number out of its bounds', { base, data, train: { beta1: 1 } }],
  ])('refuses %s', (_, config) => {
    expect(runTakes(config)).toBe(false);
    expect(validate(config)).toBe(false);
  });

  test('names itself and plugins, which only a file has, and checks formats within data', () => {
    expect(validate({ $schema: './glulam.schema.json', plugins: ['glulam-plugin-x'], base, data })).toBe(true);
    expect(validate({ base, data: { train: { file: 'a', format: { kind: 'text', column: 'body' } } } })).toBe(true);
    expect(validate({ base, data: { train: { file: 'a', format: { kind: 'text', key: 'body' } } } })).toBe(false);
    expect(JSON.stringify(schema)).not.toContain('choiceOf');
  });
});
