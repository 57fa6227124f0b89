import { createHash } from 'node:crypto';
import { whileUnchanged } from '@glulam/files';
import { checkOutputs, packTokens, type Decoder, type Tokenizer } from '@glulam/model';
import { scope } from '@glulam/tensors';

const text =
  'Question: Olga has 3 boxes of 12 pencils each and gives 7 pencils to Émile. How many are left?\n' +
  'Answer: 3 * 12 = <<3*12=36>>36, and 36 - 7 = 29.\n#### 29\n\nfor (let i = 0; i < 8; i++) { print("ok"); }';
/** Tokens of all parts of the vocabulary besides. */
const spread = 32;

/**
 * A hash of what a model makes of a text: of its logits, to the last bit. Models with the same weights, layers and
 * adapter on the same engine have the same; a weight that differs changes it, wherever it comes from. One pass over some
 * 130 tokens, where hashing the files would read all of them.
 */
export async function fingerprintModel(decoder: Decoder, tokenizer: Tokenizer): Promise<string> {
  const { vocabularySize, maxPositions } = decoder.spec;
  const others = Array.from({ length: spread }, (_, i) => Math.floor((i * vocabularySize) / spread));
  const ids = [...tokenizer.encode(text), ...others].slice(0, maxPositions);
  const hash = createHash('sha256').update(JSON.stringify({ ids, maxPositions, layers: decoder.layers }));
  const values = await whileUnchanged(decoder.checkpoint.files, async () => {
    const hidden = await decoder.forward(packTokens([ids]));
    const logits = scope(() => decoder.logits(hidden, [...ids.keys()]));
    hidden.release();
    const read = await decoder.engine.read(logits);
    logits.release();
    await checkOutputs(decoder, read);
    return read;
  });
  return hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex');
}
