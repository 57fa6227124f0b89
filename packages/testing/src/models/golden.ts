import { existsSync, readFileSync, copyFileSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readPeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats, readInts, type CheckpointFiles } from '@glulam/files';
import {
  openDecoder,
  openCheckpoint,
  packTokens,
  type AdapterContribution,
  type Decoder,
  type Family,
  type TokenBatch,
} from '@glulam/model';
import type { Engine } from '@glulam/tensors';

/** What `expected.json` of a golden case says, as far as tests use it. */
export interface GoldenFacts {
  /** Mean loss over the labelled tokens, in nats. */
  readonly loss: number;
  /** Virtual layers. */
  readonly effective_layers: number;
  /** Elements of all trained tensors. */
  readonly trainable_parameters?: number;
  /** Token ids: a prompt, and what follows it when the most likely token is taken each time. */
  readonly greedy?: { readonly prompt: number[]; readonly tokens: number[] };
  /** The same beyond the length from which on the rotary embedding turns all tokens otherwise, each computed anew. */
  readonly greedy_crossing?: { readonly prompt: number[]; readonly tokens: number[] };
  /**
   * AdamW steps on the batch (betas 0.9 and 0.999, epsilon 1e-8), with the loss and the norm of the gradients before
   * clipping of each.
   */
  readonly training?: {
    readonly lr: number;
    readonly weight_decay: number;
    readonly max_grad_norm: number;
    readonly steps: readonly { readonly loss: number; readonly grad_norm: number }[];
  };
}

/** A case that transformers and PEFT computed: a checkpoint, an adapter perhaps, inputs, and the results. */
export interface GoldenCase {
  /** That of its folder. */
  readonly name: string;
  /** The numbers that the reference computed. */
  readonly facts: GoldenFacts;
  /** `expected.safetensors`: inputs, logits and gradients, as the reference computed them. */
  readonly tensors: CheckpointFiles;
  /** The sequences without their padding, laid end to end. */
  readonly batch: TokenBatch;
  /** Of each token of the batch: the next one, -1 where the reference counts no loss. */
  readonly labels: Int32Array;
  /** Row in the reference's [batch, sequence] arrays of each token of the batch. */
  readonly rows: readonly number[];
  /**
   * The case's model: its adapter on its expansion if it has one, else its base. `config`: another of the base's config
   * files. The caller closes the decoder.
   */
  open(
    engine: Engine,
    families: readonly Family[],
    adapters: readonly AdapterContribution[],
    config?: string,
  ): Promise<Decoder>;
}

/** Read a golden case: `expected.json`, `expected.safetensors`, `base` and perhaps `adapter` in a folder. */
export function openGolden(folder: string): GoldenCase {
  const facts = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as GoldenFacts;
  const file = path.join(folder, 'expected.safetensors');
  const tensors = openSafetensors(file);
  const [ids, mask, labels] = ['input_ids', 'attention_mask', 'labels'].map((name) => readInts(tensors.entry(name)));
  const [count, length] = tensors.entry('input_ids').shape as [number, number];
  const sequences: number[][] = [];
  const next: number[] = [];
  const rows: number[] = [];
  for (let b = 0; b < count; b++) {
    const kept = Array.from({ length }, (_, i) => b * length + i).filter((row) => mask![row] === 1);
    sequences.push(kept.map((row) => ids![row]!));
    for (const row of kept) {
      rows.push(row);
      // Row i predicts token i + 1; the last of a sequence predicts nothing.
      const label = (row + 1) % length === 0 ? -100 : labels![row + 1]!;
      next.push(label < 0 ? -1 : label);
    }
  }
  return {
    name: path.basename(folder),
    facts,
    tensors,
    batch: packTokens(sequences),
    labels: Int32Array.from(next),
    rows,
    async open(engine, families, adapters, config = 'config.json') {
      const checkpoint = await openCheckpoint(baseWithConfig(path.join(folder, 'base'), config), families);
      const adapterFolder = path.join(folder, 'adapter');
      if (!existsSync(adapterFolder)) return openDecoder({ engine, checkpoint });
      const { adapter, layers, values } = readPeftAdapter(adapterFolder, adapters, checkpoint.spec);
      return openDecoder({ engine, checkpoint, adapter, layers, adapterValues: values });
    },
  };
}

/** A folder with the same weights whose `config.json` is another of the base's config files. */
function baseWithConfig(base: string, config: string): string {
  if (config === 'config.json') return base;
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-golden-'));
  copyFileSync(path.join(base, config), path.join(folder, 'config.json'));
  symlinkSync(path.resolve(base, 'model.safetensors'), path.join(folder, 'model.safetensors'));
  return folder;
}

/** Values of a reference tensor for the tokens of the batch: `width` numbers a token. */
export function rowsOf(golden: GoldenCase, name: string): Float32Array {
  const source = golden.tensors.source(name);
  const width = source.shape.at(-1)!;
  const all = readFloats(source);
  const result = new Float32Array(golden.rows.length * width);
  golden.rows.forEach((row, i) => result.set(all.subarray(row * width, (row + 1) * width), i * width));
  return result;
}

/** Frobenius distance of two arrays, and of the second from 0. */
export function frobenius(
  got: Float32Array,
  expected: Float32Array,
): { readonly distance: number; readonly norm: number } {
  let distance = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    distance += (got[i]! - value) ** 2;
    norm += value ** 2;
  });
  return { distance: Math.sqrt(distance), norm: Math.sqrt(norm) };
}
