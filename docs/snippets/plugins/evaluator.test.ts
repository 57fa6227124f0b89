import path from 'node:path';
import { mistralFamily } from '@glulam/family-mistral';
import { openDecoder, openCheckpoint, openTokenizer, unexpandedLayers } from '@glulam/model';
import { createNativeEngine } from '@glulam/engine-native';
import { testEvaluator } from '@glulam/testing';
import { bits } from './evaluator.js';

const base = path.join(import.meta.dirname, '../../../examples/models/tiny-mistral-gsm8k');

testEvaluator(bits, {
  options: [{}],
  async open() {
    const engine = createNativeEngine({ precision: 'float32' });
    const checkpoint = await openCheckpoint(base, [mistralFamily]);
    const decoder = await openDecoder({ engine, checkpoint, layers: unexpandedLayers(checkpoint.spec.layers.length) });
    const heldOut = [{ ids: Int32Array.of(1, 5, 9, 2), trained: Uint8Array.of(0, 0, 1, 1) }];
    const close = async (): Promise<void> => {
      decoder.close();
      await engine.close();
    };
    return { decoder, tokenizer: openTokenizer(base), heldOut, signal: new AbortController().signal, close };
  },
});
