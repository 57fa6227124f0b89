import {
  areFolderFiles,
  documentNames,
  eventLoopTurns,
  mostDocumentBytes,
  type CheckpointDocuments,
} from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import { TrainerError } from '../../errors.js';
import { openWorkerLane } from '../worker-lane.js';
import { encodeInTurns, type EncodedBatch, type RowBatch } from './encode-batch.js';
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

interface BatchEncoderOptions {
  readonly tokenizer: Tokenizer;
  readonly settings: EncodeSettings;
  /** 0: in this thread, as long as no row takes long. */
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
}

export function openBatchEncoder({ tokenizer, settings, workers, signal }: BatchEncoderOptions): BatchEncoder {
  const { folder } = tokenizer.documents;
  const texts = textsOf(tokenizer.documents);
  const withWorkers = (count: number): BatchEncoder =>
    openWorkers({ folder, texts, settings, vocabularySize: tokenizer.embeddingRows }, count, signal);
  if (workers > 0) return withWorkers(workers);
  const encode = createRowEncoder(tokenizer, settings);
  const next = eventLoopTurns(signal);
  let worker: BatchEncoder | undefined;
  return {
    capacity: 1,
    async encode(rows, characters) {
      const isHere = worker === undefined && characters <= longText;
      const encoded = isHere ? await encodeInTurns(encode, rows, next) : undefined;
      if (encoded !== undefined) return encoded;
      worker ??= withWorkers(1);
      return worker.encode(rows, characters);
    },
    close: () => worker?.close() ?? Promise.resolve(),
  };
}

/** What workers cannot read by themselves: the documents of anything but a folder as it is. */
function textsOf(documents: CheckpointDocuments): Readonly<Record<string, string>> | undefined {
  if (areFolderFiles(documents)) return undefined;
  return Object.fromEntries(
    documentNames
      .filter((name) => documents.has(name))
      .map((name) => [name, documents.read(name, mostDocumentBytes)] as const),
  );
}

/** Characters that are never encoded in this thread: it would take seconds, in which nothing hears Ctrl-C. */
const longText = 2 ** 18;

function openWorkers(workerData: WorkerSettings, count: number, signal: AbortSignal | undefined): BatchEncoder {
  const lanes = Array.from({ length: count }, () =>
    openWorkerLane<RowBatch, EncodedBatch>('encode-worker', { workerData }),
  );
  const closeAll = async (): Promise<void> => {
    await Promise.all(lanes.map((lane) => lane.close()));
  };
  // A worker in the middle of a batch hears of nothing: it is ended, and `encode` fails.
  const end = (): void => void closeAll();
  signal?.addEventListener('abort', end);
  return {
    // One under way and one waiting behind it.
    capacity: 2 * count,
    async encode(rows) {
      try {
        return await lanes.reduce((a, b) => (b.waiting() < a.waiting() ? b : a)).ask(rows);
      } catch (cause) {
        signal?.throwIfAborted();
        // What is refused deliberately has a class and a code of ours, which it keeps on its way here.
        const { name, code } = cause as { readonly name?: unknown; readonly code?: unknown };
        if (typeof code === 'string' && ['ModelError', 'TrainerError', 'FilesError'].includes(String(name)))
          throw cause;
        throw new TrainerError(
          'ENCODING_FAILED',
          `a worker thread that tokenizes data failed: ${(cause as Error).message}`,
          { cause },
        );
      }
    },
    async close() {
      signal?.removeEventListener('abort', end);
      await closeAll();
    },
  };
}
