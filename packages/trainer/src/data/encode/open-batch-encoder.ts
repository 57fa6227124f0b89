import type { Tokenizer } from '@glulam/model';
import { TrainerError } from '../../errors.js';
import { openWorkerLane } from '../worker-lane.js';
import { encodeBatch, type EncodedBatch, type RowBatch } from './encode-batch.js';
import type { EncodeSettings } from './encode-settings.js';
import type { WorkerSettings } from './encode-worker.js';
import { createRowEncoder } from './row-encoder.js';

/** Encodes batches of rows, several at a time where there are workers; each call's result belongs to its batch. */
export interface BatchEncoder {
  /** How many batches may be under way for every worker to have work; more only take memory. */
  readonly capacity: number;
  /** `characters`: about how long the rows' texts are together. */
  encode(rows: RowBatch, characters: number): Promise<EncodedBatch>;
  /** Ends the workers, and with them what is under way. */
  close(): Promise<void>;
}

export interface BatchEncoderOptions {
  readonly tokenizer: Tokenizer;
  /** The folder from which workers open the same tokenizer. */
  readonly folder: string;
  readonly settings: EncodeSettings;
  /** 0: in this thread. */
  readonly workers: number;
}

export function openBatchEncoder({ tokenizer, folder, settings, workers }: BatchEncoderOptions): BatchEncoder {
  if (workers > 0) return openWorkers({ folder, settings, vocabularySize: tokenizer.embeddingRows }, workers);
  const encode = createRowEncoder(tokenizer, settings);
  let worker: BatchEncoder | undefined;
  return {
    capacity: 1,
    async encode(rows, characters) {
      if (characters <= longText) return encodeBatch(encode, rows);
      worker ??= openWorkers({ folder, settings, vocabularySize: tokenizer.embeddingRows }, 1);
      return worker.encode(rows, characters);
    },
    close: async () => worker?.close(),
  };
}

/** Characters that are never encoded in this thread: it would take seconds, in which nothing hears Ctrl-C. */
const longText = 2 ** 18;

function openWorkers(workerData: WorkerSettings, count: number): BatchEncoder {
  const lanes = Array.from({ length: count }, () =>
    openWorkerLane<RowBatch, EncodedBatch>('encode-worker', { workerData }),
  );
  return {
    // One under way and one waiting behind it.
    capacity: 2 * count,
    async encode(rows) {
      try {
        return await lanes.reduce((a, b) => (b.waiting() < a.waiting() ? b : a)).ask(rows);
      } catch (cause) {
        throw new TrainerError(
          'ENCODING_FAILED',
          `a worker thread that tokenizes data failed: ${(cause as Error).message}`,
          { cause },
        );
      }
    },
    async close() {
      await Promise.all(lanes.map((lane) => lane.close()));
    },
  };
}
