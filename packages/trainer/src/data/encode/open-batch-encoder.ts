import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Tokenizer } from '@glulam/model';
import { TrainerError } from '../../errors.js';
import { encodeBatch, type EncodedBatch, type RowBatch } from './encode-batch.js';
import type { EncodeSettings } from './encode-settings.js';
import type { WorkerSettings } from './encode-worker.js';
import { createRowEncoder } from './row-encoder.js';

/** Encodes batches of rows, several at a time where there are workers; each call's result belongs to its batch. */
export interface BatchEncoder {
  /** How many batches may be under way for every worker to have work; more only take memory. */
  readonly capacity: number;
  encode(rows: RowBatch): Promise<EncodedBatch>;
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
  if (workers > 0) return openWorkers({ folder, settings }, workers);
  const encode = createRowEncoder(tokenizer, settings);
  return {
    capacity: 1,
    encode: async (rows) => encodeBatch(encode, rows),
    close: () => Promise.resolve(),
  };
}

function openWorkers(workerData: WorkerSettings, count: number): BatchEncoder {
  // By the package's name: tests run from the sources, which a worker of Node 20 cannot, and find the built file so.
  const file = createRequire(import.meta.url).resolve('@glulam/trainer/encode-worker');
  const lanes = Array.from({ length: count }, () => openLane(new Worker(file, { workerData })));
  return {
    // One under way and one waiting behind it.
    capacity: 2 * count,
    encode: (rows) => lanes.reduce((a, b) => (b.waiting() < a.waiting() ? b : a)).encode(rows),
    async close() {
      await Promise.all(lanes.map((lane) => lane.close()));
    },
  };
}

/** A worker answers in the order of asking. */
function openLane(worker: Worker) {
  const waiting: { done(batch: EncodedBatch): void; fail(error: Error): void }[] = [];
  let failure: Error | undefined;
  const fail = (reason: string, cause?: unknown): void => {
    failure ??= new TrainerError('ENCODING_FAILED', `a worker thread that tokenizes data ended: ${reason}`, { cause });
    for (const { fail } of waiting.splice(0)) fail(failure);
  };
  worker.on('message', (batch: EncodedBatch) => waiting.shift()!.done(batch));
  worker.on('error', (error) => fail(error.message, error));
  worker.on('messageerror', (error) => fail(error.message, error));
  worker.on('exit', (code) => fail(`exit code ${code}`));
  return {
    waiting: () => waiting.length,
    encode: (rows: RowBatch): Promise<EncodedBatch> =>
      new Promise((done, fail) => {
        if (failure !== undefined) return fail(failure);
        waiting.push({ done, fail });
        worker.postMessage(rows);
      }),
    async close() {
      await worker.terminate();
    },
  };
}
