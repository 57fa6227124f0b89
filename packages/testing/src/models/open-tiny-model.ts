import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sizeOf, writeSafetensors } from '@glulam/files';
import {
  openDecoder,
  describeCheckpoint,
  openCheckpoint,
  openTokenizer,
  readLlamaSpec,
  type Family,
} from '@glulam/model';
import { createReferenceEngine, normals } from '@glulam/tensors';
import type { EvaluationContext } from '@glulam/trainer';

const family: Family = {
  kind: 'tiny',
  describe: (config) => readLlamaSpec(config, () => ({ maxPositions: 512, slidingWindow: 0, biased: [] })),
};

const special = ['<s>', '</s>'];
const bytes = Array.from({ length: 256 }, (_, byte) => byte);

const config = {
  model_type: family.kind,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  rms_norm_eps: 1e-5,
  vocab_size: special.length + bytes.length,
  rope_theta: 10000,
  torch_dtype: 'float32',
};

const sentences = ['Two and three are five.', 'A day has 24 hours, a week seven days.', 'Ünïcode counts too.'];

/**
 * A model with some held-out sentences, for tests of evaluators, which need no checkpoint then: two layers of seeded random
 * values on the reference engine, and a tokenizer whose tokens are single bytes. It knows nothing, so scores are those
 * of guesses.
 */
export async function openTinyModel(): Promise<EvaluationContext & { close(): Promise<void> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-tiny-model-'));
  const write = (name: string, value: unknown): void => writeFileSync(path.join(folder, name), JSON.stringify(value));
  write('config.json', config);
  write('tokenizer.json', byteTokenizer());
  write('tokenizer_config.json', { bos_token: special[0], eos_token: special[1] });
  const { files } = (await describeCheckpoint(folder, [family])).checkpoint;
  const tensors = files.names().map((name, use) => {
    const { shape } = files.source(name);
    // Norms begin as ones.
    const values = shape.length === 1 ? new Float32Array(sizeOf(shape)).fill(1) : random(shape, use);
    return { name, shape, dtype: 'float32' as const, values };
  });
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors);

  const checkpoint = await openCheckpoint(folder, [family]);
  const tokenizer = openTokenizer(folder, { vocabularySize: checkpoint.spec.vocabularySize });
  const engine = createReferenceEngine();
  const decoder = await openDecoder({ engine, checkpoint });
  const heldOut = sentences.map((text) => {
    const ids = Int32Array.from(tokenizer.encode(text));
    return { ids, trained: new Uint8Array(ids.length).fill(1) };
  });
  return {
    decoder,
    tokenizer,
    heldOut,
    signal: new AbortController().signal,
    async close() {
      decoder.close();
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const random = (shape: readonly number[], use: number): Float32Array =>
  normals(sizeOf(shape), [0x71, 0, 0, use]).map((value) => value / 4);

/** A byte-level BPE (Radford et al. 2019) without merges. */
function byteTokenizer(): unknown {
  // Bytes that are printed are characters of their own there, the others stand behind them from U+0100 on.
  const printed = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  const hidden = bytes.filter((byte) => !printed(byte));
  const characterOf = (byte: number): string =>
    String.fromCodePoint(printed(byte) ? byte : 0x100 + hidden.indexOf(byte));
  const vocab = Object.fromEntries([...special, ...bytes.map(characterOf)].map((token, id) => [token, id]));
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: level,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: special[0], type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { [special[0]!]: { id: special[0], ids: [0], tokens: [special[0]] } },
    },
    decoder: level,
    model: { type: 'BPE', vocab, merges: [] },
  };
}
