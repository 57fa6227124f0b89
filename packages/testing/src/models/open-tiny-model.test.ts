import { meanLoss, type EvaluatorContribution } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { openTinyModel } from './open-tiny-model.js';
import { testEvaluator } from '../data/test-evaluator.js';

const loss: EvaluatorContribution = {
  kind: 'example',
  schema: z.strictObject({}),
  open: () => ({
    async evaluate({ decoder, heldOut, signal }) {
      return meanLoss(decoder, heldOut, { signal });
    },
  }),
};
testEvaluator(loss, { options: [{}] });

test('every text is its bytes, and comes back', async () => {
  const { tokenizer, close } = await openTinyModel();
  const text = 'Two and\tthree: 5 – ünï\n\u0000';
  const ids = tokenizer.encode(text);
  expect(ids).toHaveLength(1 + Buffer.byteLength(text));
  expect(tokenizer.decode(ids)).toBe(text);
  await close();
});

test('the model guesses among 258 tokens, the same each time', async () => {
  const lossOf = async () => {
    const { decoder, heldOut, close } = await openTinyModel();
    const result = await meanLoss(decoder, heldOut);
    await close();
    return result;
  };
  const first = await lossOf();
  expect(Math.abs(first.loss - Math.log(258))).toBeLessThan(1);
  expect(await lossOf()).toEqual(first);
});
