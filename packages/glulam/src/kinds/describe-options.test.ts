import { compose } from '@glulam/plugin';
import { runConfigSchema } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { preset } from '../config/preset.js';
import { describeOptions } from './describe-options.js';
import { installedPlugins } from './installed-plugins.js';

const typeOf = (schema: z.ZodType) => describeOptions(z.strictObject({ option: schema }))[0]!.type;

test.each<[string, z.ZodType]>([
  ['integer', z.int()],
  [
    'integer > 0 or { first, repeats }',
    z.union([z.int().positive(), z.strictObject({ first: z.int(), repeats: z.int() })]),
  ],
  ['number ≥ 0, < 1', z.number().min(0).lt(1).default(0)],
  ['"a" or "b"', z.enum(['a', 'b'])],
  ['true or text or null', z.union([z.literal(true), z.string()]).nullable()],
  ['true or false', z.boolean()],
  ['list of text', z.array(z.string().min(1))],
  ['list of (text or number)', z.array(z.union([z.string(), z.number()]))],
  ['list of [integer, integer]', z.array(z.tuple([z.int(), z.int()]))],
  ['{ [name]: integer > 0 }', z.record(z.string(), z.int().positive())],
  ['anything', z.unknown()],
  ['text', z.string().transform((text) => text.length)],
])('%s', (text, schema) => expect(typeOf(schema)).toBe(text));

test('options of records are named by their paths, with what is needed and what stands where nothing is given', () => {
  const options = describeOptions(runConfigSchema);
  const named = (name: string) => options.find((option) => option.name === name);
  expect(named('base')).toMatchObject({ type: 'text', required: true });
  expect(named('train.learningRate')).toMatchObject({ type: 'number > 0', required: false, default: 2e-4 });
  expect(named('train.batch')!.type).toBe('integer > 0 or { tokens }');
  expect(named('evaluate.watch.better')).toMatchObject({ type: '"lower" or "higher"', default: 'lower' });
  expect(named('adapter')).toMatchObject({ type: '{ kind, ... } of an adapter', default: { kind: 'lora' } });
  expect(named('evaluate.evaluators')!.type).toBe('list of { kind, ... } of an evaluator');
});

test('every option of the config and of every built-in kind says what it is', () => {
  const kinds = installedPlugins(compose(preset()), import.meta.filename).flatMap((plugin) => plugin.kinds);
  const options = [...describeOptions(runConfigSchema), ...kinds.flatMap((kind) => kind.options)];
  expect(options.length).toBeGreaterThan(80);
  expect(options.filter(({ description }) => !/^[A-Z`'"].{8,}\.$/.test(description))).toEqual([]);
  expect(options.filter(({ type }) => type.includes('anything'))).toEqual([]);
});
