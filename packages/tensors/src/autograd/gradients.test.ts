import { describe, expect, test } from 'vitest';
import { elementaryCases } from '../../test/elementary-cases.js';
import { finiteDifferences, runCase, valuesOf } from '../../test/gradient-case.js';
import { namedCases } from '../../test/named-cases.js';
import { createReferenceEngine } from '../engines/reference/reference-engine.js';
import { createOperations } from './operations.js';

// Every gradient against central differences of an independent definition, in float64. What remains is the rounding of the
// code under test: each operation on the way rounds to float32 (6e-8 of the result), and no case has many in a row.

const rounding = 1e-6;
/** Outputs in bfloat16 have 8 significant bits. Gradients pass these roundings as they are. */
const roundingOf = { float32: rounding, bfloat16: 2 ** -8 } as const;

const cases = { ...elementaryCases, ...namedCases };
/** What `createOperations` has besides: nothing that a gradient passes. */
const withoutGradient = ['engine', 'activation', 'recording', 'adamW', 'sumOfSquares'];

const largestOf = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

function expectClose(got: readonly number[], expected: readonly number[], tolerance: number, what: string): void {
  expect(got.length, what).toBe(expected.length);
  const worst = largestOf(expected.map((value, i) => got[i]! - value));
  // Where all cancels, as the gradient of softmax over one key does, nothing is left to be relative to.
  expect(worst, `${what}: largest difference`).toBeLessThanOrEqual(tolerance * Math.max(largestOf(expected), 0.1));
}

test('every operation has cases here, or is named as one without a gradient', () => {
  const operations = Object.keys(createOperations(createReferenceEngine()));
  expect([...Object.keys(cases), ...withoutGradient].sort()).toEqual(operations.sort());
});

describe.each(Object.entries(cases))('%s', (operation, examples) => {
  describe.each(examples.map((example) => [example.name, example] as const))('%s', (_, example) => {
    const names = Object.keys(example.inputs);

    test('computes what its definition says', async () => {
      const { output, dtype, called, left } = await runCase(example, names);
      expect(called).toContain(operation);
      expectClose(output, example.naive(valuesOf(example)), roundingOf[dtype as keyof typeof roundingOf], 'output');
      expect(left).toBe(0);
    });

    test.each(names)('d %s', async (name) => {
      const { gradients, left } = await runCase(example, [name]);
      expectClose(gradients[name]!, finiteDifferences(example, name), rounding, `d ${name}`);
      expect(left).toBe(0);
      // What else is asked for changes nothing.
      expect((await runCase(example, names)).gradients[name]).toEqual(gradients[name]);
    });
  });
});
