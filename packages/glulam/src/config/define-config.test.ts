import { adapters, strategies, type AdapterContribution } from '@glulam/model';
import { compose, definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { engines } from '@glulam/tensors';
import { dataFormats, evaluators, reporters } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineConfig } from './define-config.js';
import { core, preset } from './preset.js';

const ia3Schema = z.strictObject({ targets: z.array(z.string()).optional() });
const ia3: AdapterContribution<z.output<typeof ia3Schema>> = {
  kind: 'ia3',
  schema: ia3Schema,
  create: () => ({ kind: 'ia3', at: () => undefined, peftConfig: () => ({}) }),
  fromPeft: () => undefined,
};
const register: Plugin['register'] = (registry) => registry.contribute(adapters, { create: () => ia3 });
/** A plugin whose author says what it brings, and one whose author does not. */
const adapterIa3 = (): Plugin<Offer<'adapter', 'ia3', z.input<typeof ia3Schema>>> =>
  definePlugin({ name: 'ia3', contract: 2, register });
const untyped = (): Plugin => definePlugin({ name: 'untyped', contract: 2, register });

const base = 'base';
const data = { train: 'train.jsonl' };

describe('the compiler', () => {
  test('takes what the schemas take', () => {
    const config = defineConfig({
      base,
      expansion: {
        kind: 'layer_map',
        layer_map: [
          [0, 4],
          [2, 6],
        ],
        gate: 'learned',
      },
      adapter: { kind: 'dora', r: { first: 0, repeats: 8 }, on: 'repeats' },
      engine: { threads: 2 },
      data: { train: [{ file: 'a.jsonl', format: { kind: 'text', column: 'body' } }, 'b.jsonl'], heldOut: 0.1 },
      evaluate: { evaluators: [{ kind: 'loss' }, { kind: 'gsm8k', file: 'test.jsonl', shots: 0 }] },
      reporters: [{ kind: 'console' }, { kind: 'jsonl', file: 'log.jsonl' }],
      plugins: [],
    });
    expect(config.adapter).toEqual({ kind: 'dora', r: { first: 0, repeats: 8 }, on: 'repeats' });
    expect(defineConfig({ base, data, adapter: { r: 4 } }).adapter).toEqual({ r: 4 });
    expect(defineConfig({ base, data, adapter: { kind: 'none' }, engine: { kind: 'reference' } }).base).toBe(base);
  });

  test('refuses what they refuse, for the kind that is chosen', () => {
    // @ts-expect-error no such option
    defineConfig({ base, data, adapter: { kind: 'lora', rank: 8 } });
    // @ts-expect-error no such option of the kind that stands where none is named
    defineConfig({ base, data, adapter: { rank: 8 } });
    // @ts-expect-error an option of another kind
    defineConfig({ base, data, adapter: { kind: 'lora', on: 'repeats' } });
    // @ts-expect-error a kind without options
    defineConfig({ base, data, adapter: { kind: 'full', r: 8 } });
    // @ts-expect-error of the wrong type
    defineConfig({ base, data, adapter: { kind: 'dora', r: '8' } });
    // @ts-expect-error no such kind
    defineConfig({ base, data, adapter: { kind: 'ia3' } });
    // @ts-expect-error needed
    defineConfig({ base, data, expansion: { kind: 'interleave' } });
    // @ts-expect-error an instruction set that there is not
    defineConfig({ base, data, engine: { kind: 'native', isa: 'sse2' } });
    // @ts-expect-error an adapter is no reporter
    defineConfig({ base, data, reporters: [{ kind: 'lora' }] });
    // @ts-expect-error of a format within data
    defineConfig({ base, data: { train: { file: 'a', format: { kind: 'text', key: 'body' } } } });
    // @ts-expect-error of an evaluator
    defineConfig({ base, data, evaluate: { evaluators: [{ kind: 'gsm8k', file: 'a', shot: 0 }] } });
    // @ts-expect-error of the run itself
    defineConfig({ base, data, train: { step: 10 } });
  });

  test('knows the kinds of the plugins given, in lists of lists too', () => {
    expect(
      defineConfig({ base, data, plugins: [false, [adapterIa3()]], adapter: { kind: 'ia3', targets: ['k_proj'] } })
        .base,
    ).toBe(base);
    // @ts-expect-error no such option
    defineConfig({ base, data, plugins: [adapterIa3()], adapter: { kind: 'ia3', target: ['k_proj'] } });
    // @ts-expect-error the built-in kinds are checked as before
    defineConfig({ base, data, plugins: [adapterIa3()], adapter: { kind: 'lora', rank: 8 } });
    // @ts-expect-error a kind of no plugin
    defineConfig({ base, data, plugins: [adapterIa3()], adapter: { kind: 'ia4' } });
    // Nothing is known of these: they are checked when the run starts.
    defineConfig({ base, data, plugins: [untyped()], adapter: { kind: 'ia3', anything: 1 } });
    defineConfig({ base, data, plugins: ['glulam-plugin-adapter-ia3'], adapter: { kind: 'ia3', anything: 1 } });
  });
});

test('the types name the kinds that the built-in plugins contribute', () => {
  type Offers = ReturnType<typeof preset>[number] extends Plugin<infer Each> ? Each : never;
  type Kinds<Role> = Extract<Offers, { readonly role: Role }>['kind'];
  const composition = compose(preset());
  const kinds = <Kind extends string>(point: Parameters<typeof composition.all>[0], typed: Record<Kind, true>) =>
    expect(
      composition
        .all(point)
        .map((each) => (each as { readonly kind: string }).kind)
        .sort(),
    ).toEqual(Object.keys(typed).sort());
  kinds<Kinds<'adapter'>>(adapters, { lora: true, dora: true, full: true, none: true });
  kinds<Kinds<'engine'>>(engines, { native: true, tfjs: true, reference: true });
  kinds<Kinds<'expansion'>>(strategies, {
    layer_map: true,
    interleave: true,
    depth_up: true,
    repeat_yourself: true,
    whole_stack: true,
    sliding_windows: true,
    llama_pro: true,
    mergekit: true,
  });
  kinds<Kinds<'evaluator'>>(evaluators, { loss: true, gsm8k: true, truthfulqa: true, task: true });
  kinds<Kinds<'reporter'>>(reporters, { console: true, jsonl: true, tensorboard: true });
  kinds<Kinds<'format'>>(dataFormats, {
    messages: true,
    sharegpt: true,
    orca_chat: true,
    alpaca: true,
    question_answer: true,
    prompt_completion: true,
    text: true,
  });
  expect(core().name).toBe('glulam');
});
