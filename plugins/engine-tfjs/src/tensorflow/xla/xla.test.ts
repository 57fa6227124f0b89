import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCounter } from '../../plan/counter.js';
import { createPlanningBinding } from '../../plan/planning-binding.js';
import type { Attribute, Binding } from '../binding.js';
import { createTfOperations } from '../operations.js';
import { createXla, paddedRows, perRow, whole } from './xla.js';

/** A plan's addon, which keeps what it was asked to execute; `exact`: it computes the probe's product. */
function recording({ exact = true } = {}) {
  const calls: { readonly name: string; readonly attributes: readonly Attribute[]; readonly ids: readonly number[] }[] =
    [];
  const { noteScratch: _, ...planned } = createPlanningBinding(createCounter(), createCounter(), () => undefined);
  const binding: Binding = {
    ...planned,
    tensorDataSync: (id) => (exact ? Float32Array.of(9 + 256 * 256) : planned.tensorDataSync(id)),
    executeOp(name, attributes, ids, outputs) {
      calls.push({ name, attributes, ids });
      return planned.executeOp(name, attributes, ids, outputs);
    },
  };
  const ops = createTfOperations(binding);
  return { ops, binding, calls };
}
const moduleOf = ({ attributes }: { readonly attributes: readonly Attribute[] }) =>
  attributes.find(({ name }) => name === 'module')!.value;

describe('paddedRows', () => {
  it('adds less than an eighth, and gives eight numbers an octave', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), (rows) => {
        const padded = paddedRows(rows);
        expect(padded).toBeGreaterThanOrEqual(rows);
        expect(padded).toBeLessThan(rows * 1.125 + 1);
        expect(paddedRows(padded)).toBe(padded);
      }),
    );
    const octave = new Set(Array.from({ length: 1024 }, (_, i) => paddedRows(1025 + i)));
    expect([...octave]).toEqual([1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048]);
  });
});

describe('createXla', () => {
  it('is there only where a product of bfloat16 values keeps its float32 result', () => {
    expect(createXla(recording().ops, 1)).toBeDefined();
    expect(createXla(recording({ exact: false }).ops, 1)).toBeUndefined();
    const { binding } = recording();
    const lacking: Binding = {
      ...binding,
      executeOp(name, ...rest) {
        if (name === 'XlaCallModule') throw new Error('Op type not registered');
        return binding.executeOp(name, ...rest);
      },
    };
    expect(createXla(createTfOperations(lacking), 1)).toBeUndefined();
    expect(binding.getNumOfTensors()).toBe(0);
  });

  it('leaves few rows to operations', () => {
    const xla = createXla(recording().ops, 64)!;
    expect([1, 63, 64, 1000].map((rows) => xla.takes(rows))).toEqual([false, false, true, true]);
  });

  it('writes one program for all numbers of rows that are padded to one, and cuts its results', () => {
    const { ops, calls } = recording();
    const xla = createXla(ops, 1)!;
    calls.length = 0;
    let written = 0;
    const twice = (rows: number, kind = 'a') => {
      const x = ops.floats(new Float32Array(rows * 3), [rows, 3]);
      const weight = ops.floats(new Float32Array(6), [2, 3]);
      return xla.run('linear', [kind], rows, [perRow(x), whole(weight)], (p, [x, weight]) => {
        written += 1;
        return [perRow(p.product(x!, weight!, 'columns', 'columns')), whole(p.reduce('add', x!, 0))];
      });
    };
    for (const rows of [65, 70, 72]) {
      const [perRows, sums] = twice(rows);
      expect(perRows!.shape).toEqual([rows, 2]);
      expect(sums!.shape).toEqual([3]);
    }
    const programs = calls.filter(({ name }) => name === 'XlaCallModule');
    expect(new Set(programs.map(moduleOf)).size).toBe(1);
    expect(programs[0]!.attributes).toContainEqual({ name: 'Sout', type: 1, value: [2, 72, 2, 1, 3] });
    expect(written).toBe(1);
    twice(73);
    twice(65, 'b');
    expect(written).toBe(3);
  });

  it('hands padded results on as they are, and frees them with their rows', () => {
    const { ops, binding, calls } = recording();
    const xla = createXla(ops, 1)!;
    const double = (x: Parameters<typeof perRow>[0]) =>
      xla.run('double', [], 65, [perRow(x as never)], (p, [x]) => [perRow(p.mul(x!, 2))])[0]!;
    const result = ops.arena(() => {
      calls.length = 0;
      return double(double(ops.floats(new Float32Array(65), [65, 1])));
    });
    // The first input is padded; the second is what the first program gave.
    expect(calls.map(({ name }) => name)).toEqual(['Pad', 'XlaCallModule', 'Slice', 'XlaCallModule', 'Slice']);
    expect(result.padded!.shape).toEqual([72, 1]);
    ops.free(result);
    ops.close();
    expect(binding.getNumOfTensors()).toBe(0);
  });
});
