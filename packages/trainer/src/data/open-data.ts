import type { Tokenizer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { uniforms } from '@glulam/tensors';
import type { Example } from '../batches.js';
import type { RunConfig } from '../config.js';
import type { DataReport } from './data-report.js';
import { readExamples, shuffled } from './read-examples.js';

/** The data of a run, tokenized. Examples are read from disk as they are drawn. */
export interface TrainingData {
  /** Of all training files. */
  readonly examples: number;
  /** One a file and use. */
  readonly reports: readonly DataReport[];
  readonly heldOut: readonly Example[];
  /** The batches of a run, the same for the same seed; `drawn`: go on behind so many examples. */
  batches(drawn: number): BatchSource;
  /** Optimizer steps that so many passes over the data take. */
  stepsIn(epochs: number): number;
  close(): void;
}

export interface BatchSource {
  /** Examples drawn so far: the data position that a checkpoint keeps. */
  readonly drawn: number;
  next(): readonly Example[];
}

export interface OpenDataOptions {
  readonly signal?: AbortSignal | undefined;
  /** `heldOut`: leave the training data alone, as far as it can be. */
  readonly only?: 'heldOut' | undefined;
}

/**
 * Read, tokenize and mix the data that a config names.
 *
 * @throws TrainerError DATA_UNREADABLE, DATA_INVALID (a file that is broken, or a format that fits none of its rows) or
 *   DATA_EMPTY
 */
export async function openData(
  config: RunConfig,
  composition: Composition,
  tokenizer: Tokenizer,
  options: OpenDataOptions = {},
): Promise<TrainingData> {
  // Replaced by the data pipeline: question and answer or messages in JSONL, in memory.
  void composition;
  void options;
  const { train, heldOut, prompt, maxTokens } = config.data;
  if (typeof train !== 'string' || (heldOut !== undefined && typeof heldOut !== 'string'))
    throw new Error('not made yet');
  const examples = options.only ? [] : await readExamples({ file: train, prompt, maxTokens }, tokenizer);
  const held = heldOut === undefined ? [] : await readExamples({ file: heldOut, prompt, maxTokens }, tokenizer);
  const size = typeof config.train.batch === 'number' ? config.train.batch : 8;
  return {
    examples: examples.length,
    reports: [],
    heldOut: held,
    stepsIn: (epochs) => Math.ceil((examples.length * epochs) / size / config.train.accumulate),
    batches(from) {
      let order: number[] = [];
      let epoch = 0;
      let drawn = 0;
      const draw = (): Example => {
        if (order.length === 0)
          order = shuffled(examples.length, uniforms(examples.length, [config.seed, 0x64617461, epoch++, 0]));
        drawn += 1;
        return examples[order.shift()!]!;
      };
      while (drawn < from) draw();
      return {
        get drawn() {
          return drawn;
        },
        next: () => Array.from({ length: size }, draw),
      };
    },
    close() {},
  };
}
