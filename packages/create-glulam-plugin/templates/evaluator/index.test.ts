import { openTinyModel, testEvaluator } from '@glulam/testing';
import { expect, test } from 'vitest';
import { myKindEvaluator } from './index.js';

testEvaluator(myKindEvaluator, { options: [{}, { limit: 1 }] });

test('counts the tokens that the model says itself', async () => {
  const { close, ...context } = await openTinyModel();
  const { decoder, heldOut } = context;
  // The held-out text becomes what the model says: each token the likeliest behind those before it.
  const ids = Int32Array.from(heldOut[0]!.ids.slice(0, 4));
  for (let i = 1; i < ids.length; i++) {
    const batch = { ids: ids.slice(0, i), positions: Int32Array.from({ length: i }, (_, position) => position) };
    const segments = [{ queryStart: 0, queryLength: i, keyStart: 0, keyLength: i }];
    const logits = decoder.logits(await decoder.forward({ ...batch, segments }), [i - 1]);
    const values = (await decoder.engine.read(logits)) as Float32Array;
    ids[i] = values.indexOf(Math.max(...values));
  }
  const example = (trained: readonly number[]) => ({ ids, trained: Uint8Array.from(trained) });
  const score = (examples: ReturnType<typeof example>[]) =>
    myKindEvaluator.open({}).evaluate({ ...context, heldOut: examples });
  expect(await score([example([0, 1, 1, 1])])).toEqual({ accuracy: 1, tokens: 3 });
  const wrong = { ids: ids.with(3, (ids[3]! + 1) % 258), trained: Uint8Array.from([0, 0, 1, 1]) };
  expect(await score([wrong])).toEqual({ accuracy: 0.5, tokens: 2 });
  await close();
});
