import { linearNamesOf, linearSites, type VirtualLayer } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { drawn, lowRankScale, madeAdapter, madeBase, madeValues, type MadeBase } from '../../test/made.js';
import { describeMerged, type MergedModel, type MergedTensor, type MergeSource } from './merged-model.js';

const base = await madeBase();
const choice = { kind: 'made', options: {} };

/** Layers that come again, with a scale, a gate, scales of single linear layers, and weights of their own. */
const layers: readonly VirtualLayer[] = [
  { physical: 0 },
  { physical: 1, residualScale: -0.5, linearScales: { 'mlp.up_proj': 3, 'self_attn.q_proj': 0 } },
  { physical: 0, gate: 'learned', residualScale: 0.5, linearScales: { 'mlp.down_proj': 2 } },
  { physical: 1, weights: 'own', start: 'zero', gate: 'learned', linearScales: { 'mlp.gate_proj': 4 } },
];

function sourceOf({ checkpoint }: MadeBase, of: readonly VirtualLayer[] = layers): MergeSource {
  const { spec, files } = checkpoint;
  const sites = linearSites(spec, of).map(({ path, ...site }) => ({
    path,
    adapter: madeAdapter.at({ path, ...site }),
  }));
  const others: Record<string, readonly number[]> = {};
  of.forEach(({ physical, weights, gate }, virtual) => {
    if (gate !== undefined) others[`model.layers.${virtual}.gate`] = [1];
    for (const name of weights === 'own' ? files.names() : [])
      if (name.startsWith(`model.layers.${physical}.`))
        others[name.replace(`layers.${physical}`, `layers.${virtual}`)] = files.source(name).shape;
  });
  return { checkpoint, layers: of, saved: { adapter: madeAdapter, choice, values: madeValues(sites, others) } };
}

const byName = ({ tensors }: MergedModel): Map<string, MergedTensor> =>
  new Map(tensors.map((tensor) => [tensor.name, tensor]));
async function rowsOf(tensor: MergedTensor): Promise<number[]> {
  const read = await tensor.open();
  return [...(await read(0, tensor.shape[0]!))];
}

/** All values of a merged tensor, element by element from what the virtual layer and its adapter say. */
function naiveValues({ values: ofBase }: MadeBase, { layers: of, saved }: MergeSource, name: string): number[] {
  const [, number, below] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
  if (number === undefined) return [...ofBase.get(name)!];
  const record = of[Number(number)]!;
  const trained = (member: string): Float32Array | undefined =>
    saved?.values.get(`model.layers.${number}.${member}`)?.values;
  const [, linear, kind] = /^(.*)\.(weight|bias)$/.exec(below!)!;
  const isOwn = record.weights === 'own';
  const plain = (isOwn ? trained(below!) : undefined) ?? ofBase.get(`model.layers.${record.physical}.${below}`)!;
  if (!linearNamesOf(base.checkpoint.spec).includes(linear!)) return [...plain];

  const adds = linear === 'self_attn.o_proj' || linear === 'mlp.down_proj';
  const gate = record.gate === undefined ? 1 : (trained('gate')?.[0] ?? 0);
  const factor = adds ? (record.residualScale ?? 1) * gate : 1;
  const scale = isOwn ? 1 : (record.linearScales?.[linear as 'mlp.up_proj'] ?? 1);
  const member = (which: string): Float32Array | undefined => (isOwn ? undefined : trained(`${linear}.${which}`));
  const [A, B, inScale, outScale] = ['A', 'B', 'inScale', 'outScale'].map(member);
  if (kind === 'bias')
    return [...plain].map(
      (value, row) => factor * (scale * value * (member('biasScale')?.[row] ?? 1) + (member('bias')?.[row] ?? 0)),
    );
  const rows = ofBase.get(`model.layers.${record.physical}.${below}`)!.length;
  const columns = base.checkpoint.files.source(`model.layers.${record.physical}.${below}`).shape[1]!;
  return Array.from({ length: rows }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let low = 0;
    for (let k = 0; k < 3; k++) low += (B?.[3 * row + k] ?? 0) * (A?.[k * columns + column] ?? 0);
    const weight = scale * plain[at]! * (inScale?.[column] ?? 1);
    return factor * (outScale?.[row] ?? 1) * (weight + lowRankScale * low);
  });
}

/** Values are folded in float64 and rounded once, to float32: below 10 that is less than 1e-6. */
function expectValues(got: readonly number[], expected: readonly number[], name: string): void {
  expect(got.length, name).toBe(expected.length);
  const worst = Math.max(...expected.map((value, i) => Math.abs(got[i]! - value)));
  expect(worst, name).toBeLessThan(1e-6);
}

describe('a merged model', () => {
  test('has every tensor of a plain checkpoint of so many layers, in order', () => {
    const { tensors, tiedHead } = describeMerged(sourceOf(base));
    const ofLayer = (virtual: number): string[] =>
      [
        'input_layernorm.weight',
        ...['q_proj.weight', 'q_proj.bias', 'k_proj.weight', 'v_proj.weight', 'o_proj.weight'].map(
          (each) => `self_attn.${each}`,
        ),
        ...['gate_proj.weight', 'up_proj.weight', 'down_proj.weight', 'down_proj.bias'].map((each) => `mlp.${each}`),
        'post_attention_layernorm.weight',
      ].map((name) => `model.layers.${virtual}.${name}`);
    expect(tensors.map(({ name }) => name)).toEqual([
      'model.embed_tokens.weight',
      ...layers.flatMap((_, virtual) => ofLayer(virtual)),
      'model.norm.weight',
      'lm_head.weight',
    ]);
    expect(tiedHead).toBe(false);
    for (const { name, shape, source, virtual, role, module } of tensors) {
      expect(shape, name).toEqual(source.shape);
      expect(virtual === undefined ? undefined : `model.layers.${virtual}.`).toBe(
        /^model\.layers\.\d+\./.exec(name)?.[0],
      );
      if (role === 'linear') expect(name).toContain(`.${module}.`);
    }
  });

  test('has the values of adapters, scales, gates and copies folded in', async () => {
    const source = sourceOf(base);
    for (const tensor of describeMerged(source).tensors)
      expectValues(await rowsOf(tensor), naiveValues(base, source, tensor.name), tensor.name);
  });

  test('reads any rows, each reader for itself', async () => {
    const source = sourceOf(base);
    const tensors = byName(describeMerged(source));
    for (const name of ['model.layers.2.mlp.down_proj.weight', 'model.layers.2.mlp.down_proj.bias', 'lm_head.weight']) {
      const tensor = tensors.get(name)!;
      const all = await rowsOf(tensor);
      const [first, second] = [await tensor.open(), await tensor.open()];
      const width = all.length / tensor.shape[0]!;
      for (const [start, end] of [
        [1, 3],
        [4, 5],
        [0, 2],
      ] as const)
        for (const read of [first, second])
          expect([...(await read(start, end))]).toEqual(all.slice(start * width, end * width));
    }
  });

  test('says which tensors are the base’s, so that their bytes can be copied', async () => {
    const plain = sourceOf(base, [{ physical: 1 }, { physical: 0, residualScale: 2 }, { physical: 0 }]);
    const changed = ({ tensors }: MergedModel): string[] =>
      tensors.filter((tensor) => tensor.changed).map(({ name }) => name);
    expect(changed(describeMerged({ ...plain, saved: undefined }))).toEqual([
      'model.layers.1.self_attn.o_proj.weight',
      'model.layers.1.mlp.down_proj.weight',
      'model.layers.1.mlp.down_proj.bias',
    ]);
    const adapted = changed(describeMerged(plain));
    expect(adapted).toContain('model.layers.0.self_attn.q_proj.bias');
    expect(adapted.filter((name) => /norm|embed|lm_head|up_proj/.test(name))).toEqual([]);
    for (const tensor of describeMerged(plain).tensors)
      if (!tensor.changed) expect(await rowsOf(tensor), tensor.name).toEqual(naiveValues(base, plain, tensor.name));
  });

  test('untrained, gates are closed and copies are what they begin as', async () => {
    const { checkpoint } = base;
    const tensors = byName(describeMerged({ checkpoint, layers }));
    const valuesAt = (name: string): Promise<number[]> => rowsOf(tensors.get(name)!);
    for (const name of ['self_attn.o_proj.weight', 'mlp.down_proj.weight', 'mlp.down_proj.bias'])
      for (const virtual of [2, 3])
        expect((await valuesAt(`model.layers.${virtual}.${name}`)).every((value) => value === 0)).toBe(true);
    const gateProj = base.values.get('model.layers.1.mlp.gate_proj.weight')!;
    expectValues(
      await valuesAt('model.layers.3.mlp.gate_proj.weight'),
      [...gateProj].map((value) => 4 * value),
      'gate_proj',
    );
    const up = base.values.get('model.layers.1.mlp.up_proj.weight')!;
    expect(await valuesAt('model.layers.3.mlp.up_proj.weight')).toEqual([...up]);
    expectValues(
      await valuesAt('model.layers.1.mlp.up_proj.weight'),
      [...up].map((value) => 3 * value),
      'up_proj',
    );
  });

  test('with a tied head has no head of its own', async () => {
    const tied = await madeBase({ tie_word_embeddings: true });
    const merged = describeMerged({ checkpoint: tied.checkpoint, layers });
    expect(merged.tiedHead).toBe(true);
    expect(byName(merged).has('lm_head.weight')).toBe(false);
    expect(byName(merged).has('model.embed_tokens.weight')).toBe(true);
  });
});

describe('what cannot be merged', () => {
  test('layers and values that do not fit are refused before anything is read', () => {
    const source = sourceOf(base);
    expect(() => describeMerged({ ...source, layers: [{ physical: 5 }] })).toThrow(/names physical layer 5/);
    expect(() => describeMerged({ ...source, layers: layers.slice(0, 2) })).toThrow(
      /is not for this base and expansion/,
    );
  });

  test('a bias of an adapter where a checkpoint has none', async () => {
    const source = sourceOf(base);
    const adapter: typeof madeAdapter = {
      ...madeAdapter,
      at(site) {
        const own = madeAdapter.at(site);
        return own && { ...own, form: ({ outScale }) => ({ bias: outScale }) };
      },
    };
    const tensors = byName(describeMerged({ ...source, saved: { ...source.saved!, adapter } }));
    await rowsOf(tensors.get('model.layers.0.mlp.down_proj.weight')!);
    await expect(rowsOf(tensors.get('model.layers.0.mlp.gate_proj.weight')!)).rejects.toMatchObject({
      code: 'MERGE_IMPOSSIBLE',
      message: expect.stringMatching(/adds a bias to model\.layers\.0\.mlp\.gate_proj/),
    });
  });

  test.each([
    ['weight', 'model.layers.2.mlp.down_proj.B', /down_proj\.weight would hold (NaN|-?Infinity) when merged/],
    ['bias', 'model.layers.2.mlp.down_proj.bias', /down_proj\.bias would hold (NaN|-?Infinity) when merged/],
  ])('an adapter whose %s is not finite', async (kind, name, message) => {
    const source = sourceOf(base);
    const values = new Map(source.saved!.values);
    const before = values.get(name)!;
    values.set(name, { ...before, values: before.values.map((value, i) => (i === 4 ? Infinity : value)) });
    const tensors = byName(describeMerged({ ...source, saved: { ...source.saved!, values } }));
    await expect(rowsOf(tensors.get(`model.layers.2.mlp.down_proj.${kind}`)!)).rejects.toMatchObject({
      code: 'MERGE_IMPOSSIBLE',
      message: expect.stringMatching(message),
    });
  });

  test('a base that is not finite is said to be the base', async () => {
    const broken = await madeBase({}, (values) => {
      values.get('model.layers.1.mlp.up_proj.weight')![11] = NaN;
    });
    const source = { checkpoint: broken.checkpoint, layers };
    for (const virtual of [1, 3])
      await expect(
        rowsOf(byName(describeMerged(source)).get(`model.layers.${virtual}.mlp.up_proj.weight`)!),
      ).rejects.toMatchObject({
        code: 'WEIGHT_NOT_FINITE',
        message: expect.stringMatching(/model\.layers\.1\.mlp\.up_proj\.weight/),
      });
  });

  test('a copy that was trained to divergence', async () => {
    const source = sourceOf(base);
    const name = 'model.layers.3.self_attn.k_proj.weight';
    const values = new Map(source.saved!.values);
    values.set(name, { ...values.get(name)!, values: drawn(32, 1).fill(NaN, 7, 8) });
    const tensors = byName(describeMerged({ ...source, saved: { ...source.saved!, values } }));
    await expect(rowsOf(tensors.get(name)!)).rejects.toMatchObject({ code: 'MERGE_IMPOSSIBLE' });
  });
});
