import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openSafetensors, writeSafetensors } from '@glulam/files';
import { createFrozenRows, type LinearSite } from '@glulam/model';
import {
  createOperations,
  createReferenceEngine,
  normals,
  type LinearForm,
  type RandomKey,
  type Tensor,
} from '@glulam/tensors';
import { testAdapter } from '@glulam/testing';
import { expect, test } from 'vitest';
import { createDora, doraContribution } from './index.js';

testAdapter(doraContribution, {
  options: [
    {},
    { r: 4, lora_alpha: 16, lora_dropout: 0.1, target_modules: ['q_proj', 'down_proj'], use_rslora: true },
    { target_modules: '.*mlp.*', r: 3 },
    { init_lora_weights: 'pissa', r: 3, lora_alpha: 5 },
    { on: 'repeats' },
    { modules_to_save: ['o_proj'], bias: 'lora_only' },
  ],
  foreign: [{ peft_type: 'IA3' }, { peft_type: 'LORA' }, { peft_type: 'LORA', use_dora: false }],
  refused: [
    { config: { peft_type: 'LORA', use_dora: true, bias: 'some' }, message: /bias:/ },
    { config: { peft_type: 'LORA', use_dora: true, r: 0 }, message: /r:/ },
  ],
});

const site = (use: number): LinearSite => ({
  virtual: 4 + use,
  physical: 4,
  use,
  linear: 'mlp.up_proj',
  path: `model.layers.${4 + use}.mlp.up_proj`,
  inFeatures: 6,
  outFeatures: 5,
  ...{ index: 5, hasBias: false, writesResidual: false },
});

/** One site on the reference engine, with values of its own for everything. */
async function place(options: object) {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const dora = createDora(doraContribution.schema.parse({ r: 2, lora_alpha: 3, ...options })).at(site(1))!;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-dora-')), 'w.safetensors');
  const W = normals(30, [1, 0, 0, 0]);
  await writeSafetensors(file, [{ name: 'w', shape: [5, 6], dtype: 'float32', values: W }]);
  const weight = await engine.openWeight(openSafetensors(file).source('w'));
  const values = {
    A: normals(12, [2, 0, 0, 0]),
    B: normals(10, [3, 0, 0, 0]),
    m: normals(5, [4, 0, 0, 0]),
    x: normals(18, [5, 0, 0, 0]),
  };
  const tensors = {
    'lora_A.weight': engine.upload(values.A, [2, 6]),
    'lora_B.weight': engine.upload(values.B, [5, 2]),
    lora_magnitude_vector: engine.upload(values.m, [5]),
  };
  const x = engine.upload(values.x, [3, 6]);
  const { of } = createFrozenRows(engine);
  const key: RandomKey = [7, 8, 9, 10];
  const context = (training: boolean) => ({
    ops,
    training,
    key,
    frozen: of(weight),
    linear: (input: Tensor, form: LinearForm) => ops.frozenLinear(input, weight, form, 'float32'),
  });
  return { engine, ops, dora, weight, W, values, tensors, x, context, key };
}

/** y = W x + (m/n - 1) W x' + (m/n) s B A x', n the norms of W + s B A, spelled out in double precision. */
function spelledOut(
  { W, values: { A, B, m } }: Awaited<ReturnType<typeof place>>,
  x: Float32Array,
  dropped: Float32Array,
) {
  const scale = 3 / 2;
  const change = (o: number, i: number) => scale * (B[2 * o]! * A[i]! + B[2 * o + 1]! * A[6 + i]!);
  const sum = (count: number, term: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => term(i)).reduce((total, each) => total + each, 0);
  return Array.from({ length: 15 }, (_, at) => {
    const [token, o] = [Math.floor(at / 5), at % 5];
    const share = m[o]! / Math.sqrt(sum(6, (i) => (W[6 * o + i]! + change(o, i)) ** 2));
    return (
      sum(6, (i) => W[6 * o + i]! * x[6 * token + i]!) +
      (share - 1) * sum(6, (i) => W[6 * o + i]! * dropped[6 * token + i]!) +
      share * sum(6, (i) => change(o, i) * dropped[6 * token + i]!)
    );
  });
}

test('with dropout what is added acts on the dropped input, and the rest on the whole, as in PEFT', async () => {
  const at = await place({ lora_dropout: 0.4 });
  const { engine, ops, dora, tensors, x, context, key, values } = at;
  const y = await engine.read(dora.apply!(x, tensors, context(true))!);
  const dropped = (await engine.read(ops.dropout(x, { rate: 0.4, key }))) as Float32Array;
  expect(dropped.some((value) => value === 0)).toBe(true);
  spelledOut(at, values.x, dropped).forEach((expected, i) => expect(y[i]).toBeCloseTo(expected, 4));
});

test('without dropout, and outside of training, the form says it all', async () => {
  for (const [options, training] of [
    [{}, true],
    [{ lora_dropout: 0.4 }, false],
  ] as const) {
    const at = await place(options);
    const { engine, ops, dora, weight, tensors, x, context, values } = at;
    expect(dora.apply!(x, tensors, context(training))).toBeUndefined();
    const y = await engine.read(ops.frozenLinear(x, weight, dora.form(tensors, context(training)), 'float32'));
    spelledOut(at, values.x, values.x).forEach((expected, i) => expect(y[i]).toBeCloseTo(expected, 4));
  }
});

test('`on: repeats` gives first uses LoRA, which PEFT’s files cannot say', () => {
  const names = (options: object, use: number) =>
    createDora(doraContribution.schema.parse(options))
      .at(site(use))
      ?.parameters.map(({ name }) => name);
  const lora = ['lora_A.weight', 'lora_B.weight'];
  expect(names({ on: 'repeats' }, 0)).toEqual(lora);
  expect(names({ on: 'repeats' }, 1)).toEqual([...lora, 'lora_magnitude_vector']);
  expect(names({}, 0)).toEqual([...lora, 'lora_magnitude_vector']);
  const notPeft = (options: object) => createDora(doraContribution.schema.parse(options)).notPeft;
  expect(notPeft({ on: 'repeats' })).toMatch(/DoRA on repeats and LoRA on first uses/);
  expect(notPeft({})).toBeUndefined();
  // Nothing but DoRA is left where first uses have no adapter.
  expect(notPeft({ on: 'repeats', r: { first: 0, repeats: 4 } })).toBeUndefined();
});

test('matchTrainable counts magnitudes', () => {
  const options = doraContribution.schema.parse({ matchTrainable: 3 * 11 + 5 });
  expect(doraContribution.resolve!(options, [site(1)]).r).toBe(3);
  expect(doraContribution.resolve!({ ...options, on: 'repeats' }, [site(0)]).r).toBe(3);
  expect(doraContribution.resolve!({ ...options, matchTrainable: 3 * 11 + 4 }, [site(1)]).r).toBe(2);
});
