import type { AdaptedSite, AdapterValues, LinearSite, SiteAdapter } from '@glulam/model';
import { scope } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { drawn, madeSource } from '../../test/made.js';
import { evaluateForm, foldBias, foldRows, type LinearChange } from './linear-change.js';

const [outFeatures, inFeatures] = [6, 5];
const members = ['baseScale', 'inScale', 'outScale', 'lowRank', 'biasScale', 'bias'] as const;

/** A change with some of the members; `rank` of the low-rank path. */
function changeOf(has: readonly string[], rank = 3): LinearChange {
  return {
    factor: -0.75,
    ...(has.includes('baseScale') && { baseScale: 1.25 }),
    ...(has.includes('inScale') && { inScale: drawn(inFeatures, 1) }),
    ...(has.includes('outScale') && { outScale: drawn(outFeatures, 2) }),
    ...(has.includes('lowRank') && {
      lowRank: { A: drawn(rank * inFeatures, 3), B: drawn(outFeatures * rank, 4), scale: 0.5 },
    }),
    ...(has.includes('biasScale') && { biasScale: drawn(outFeatures, 5) }),
    ...(has.includes('bias') && { bias: drawn(outFeatures, 6) }),
  };
}

/** factor * outScale * (baseScale * W * inScale + scale * B A), element by element. */
function foldedAt(W: Float32Array, row: number, column: number, change: LinearChange): number {
  const { baseScale = 1, inScale, outScale, lowRank, factor } = change;
  const rank = (lowRank?.A.length ?? 0) / inFeatures;
  let low = 0;
  for (let k = 0; k < rank; k++) low += lowRank!.B[row * rank + k]! * lowRank!.A[k * inFeatures + column]!;
  const weight = baseScale * W[row * inFeatures + column]! * (inScale?.[column] ?? 1);
  return factor * (outScale?.[row] ?? 1) * (weight + (lowRank?.scale ?? 0) * low);
}

/** Each value is rounded to float32 once: half a unit of its last place. */
function expectRounded(got: Float32Array, expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  expected.forEach((value, i) =>
    expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(2 ** -24 * Math.abs(value) * 1.001),
  );
}

const subsets = Array.from({ length: 2 ** members.length }, (_, bits) => members.filter((__, i) => bits & (1 << i)));

describe('foldRows', () => {
  const W = drawn(outFeatures * inFeatures, 9);
  const expectedRows = (change: LinearChange, first: number, count: number): number[] =>
    Array.from({ length: count * inFeatures }, (_, i) =>
      foldedAt(W, first + Math.floor(i / inFeatures), i % inFeatures, change),
    );

  test.each(subsets)('with %s %s %s %s %s %s', (...has) => {
    const change = changeOf(has);
    const rows = W.slice();
    foldRows(rows, 0, inFeatures, change);
    expectRounded(rows, expectedRows(change, 0, outFeatures));
  });

  test.each([1, 2, 3, 4])('a low rank of %i', (rank) => {
    const change = changeOf(['lowRank'], rank);
    const rows = W.slice();
    foldRows(rows, 0, inFeatures, change);
    expectRounded(rows, expectedRows(change, 0, outFeatures));
  });

  test('some rows, which are those from the first on', () => {
    const change = changeOf(members);
    const rows = W.slice(2 * inFeatures, 5 * inFeatures);
    foldRows(rows, 2, inFeatures, change);
    expectRounded(rows, expectedRows(change, 2, 3));
  });

  test('sums are float64: what cancels is not lost to rounding', () => {
    const rows = Float32Array.of(1);
    // 1 - (1 + 2^-30) is 0 in float32.
    const B = Float32Array.of(-1, -(2 ** -30));
    foldRows(rows, 0, 1, { factor: 1, lowRank: { A: Float32Array.of(1, 1), B, scale: 1 } });
    expect(rows[0]).toBe(-(2 ** -30));
  });
});

describe('foldBias', () => {
  test.each(subsets)('with %s %s %s %s %s %s', (...has) => {
    const base = drawn(outFeatures, 10);
    const change = changeOf(has);
    const { baseScale = 1, biasScale, bias, factor } = change;
    const expected = [...base].map(
      (value, i) => factor * ((biasScale?.[i] ?? 1) * baseScale * value + (bias?.[i] ?? 0)),
    );
    const before = base.slice();
    expectRounded(foldBias(base, change), expected);
    expect(base).toEqual(before);
  });
});

describe('evaluateForm', () => {
  const values = drawn(outFeatures * inFeatures, 9);
  const source = madeSource([outFeatures, inFeatures], values);
  const site: LinearSite = {
    ...{ virtual: 3, physical: 1, use: 1, linear: 'mlp.up_proj', path: 'model.layers.3.mlp.up_proj' },
    ...{ inFeatures, outFeatures, scale: -2, index: 5, hasBias: false, writesResidual: false },
  };
  const shapes = { A: [3, inFeatures], B: [outFeatures, 3], scale: [outFeatures], in: [inFeatures] } as const;
  const saved: AdapterValues = new Map(
    Object.entries(shapes).map(([name, shape], use) => [
      `${site.path}.${name}`,
      {
        shape,
        values: drawn(
          shape.reduce<number>((size, length) => size * length, 1),
          use,
        ),
      },
    ]),
  );
  const valuesOf = (name: keyof typeof shapes): Float32Array => saved.get(`${site.path}.${name}`)!.values;
  const withForm = (form: SiteAdapter['form']): AdaptedSite => ({
    site,
    adapter: {
      parameters: Object.entries(shapes).map(([name, shape]) => ({ name, shape, initial: () => new Float32Array(0) })),
      form,
    },
  });

  test('is empty without an adapter', async () => {
    expect(await evaluateForm({ site, adapter: undefined }, saved, source)).toEqual({});
  });

  test('has every member of the form, and none that it lacks', async () => {
    const all = withForm(({ A, B, scale, in: inScale }) => ({
      ...{ inScale, outScale: scale, biasScale: scale, bias: scale },
      lowRank: { A: A!, B: B!, scale: 1.5 },
    }));
    const [A, B, scale, inScale] = [valuesOf('A'), valuesOf('B'), valuesOf('scale'), valuesOf('in')];
    expect(await evaluateForm(all, saved, source)).toEqual({
      ...{ inScale, outScale: scale, biasScale: scale, bias: scale },
      lowRank: { A, B, scale: 1.5 },
    });
    expect(
      await evaluateForm(
        withForm(() => ({})),
        saved,
        source,
      ),
    ).toEqual({});
  });

  test('is that of inference, at its own site, over the weight as the layer scales it', async () => {
    let seen: unknown;
    const asked = withForm(({ scale }, { ops, training, key, frozen }) => {
      seen = { training, key };
      return { outScale: scope(() => ops.add(ops.mul(scale!, ops.engine.full([outFeatures], 0)), frozen.squares())) };
    });
    const { outScale } = await evaluateForm(asked, saved, source);
    // up_proj is the sixth of the linear layers.
    expect(seen).toEqual({ training: false, key: [0, 0, 3, 5] });
    for (let row = 0; row < outFeatures; row++) {
      const own = values.subarray(row * inFeatures, (row + 1) * inFeatures);
      const square = own.reduce((sum, value) => sum + (-2 * value) ** 2, 0);
      expect(outScale![row]).toBeCloseTo(square, 5);
    }
  });

  test.each([
    ['inScale', ({ scale }: { scale?: never }) => ({ inScale: scale }), inFeatures],
    ['outScale', ({ in: wrong }: { in?: never }) => ({ outScale: wrong }), outFeatures],
    ['bias', ({ in: wrong }: { in?: never }) => ({ bias: wrong }), outFeatures],
    ['biasScale', ({ in: wrong }: { in?: never }) => ({ biasScale: wrong }), outFeatures],
    ['B', ({ A }: { A?: never }) => ({ lowRank: { A: A!, B: A!, scale: 1 } }), outFeatures * 3],
  ])('refuses a form with %s of another size', async (what, form, size) => {
    const failing = evaluateForm(withForm(form), saved, source);
    await expect(failing).rejects.toMatchObject({
      code: 'ADAPTER_INVALID',
      message: expect.stringMatching(
        new RegExp(`form of model\\.layers\\.3\\.mlp\\.up_proj has ${what} of shape \\[.*\\]; expected ${size} values`),
      ),
    });
  });
});
