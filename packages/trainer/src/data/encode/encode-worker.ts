// What a worker thread runs: it opens the tokenizer from its folder and answers every batch of rows with its tokens.
import { parentPort, workerData } from 'node:worker_threads';
import { knownDocuments, openTokenizer } from '@glulam/model';
import { parseDate } from '../prompt/run-date.js';
import { encodeBatch, type EncodedBatch, type RowBatch } from './encode-batch.js';
import type { EncodeSettings } from './encode-settings.js';
import { createRowEncoder } from './row-encoder.js';

/** What the worker is started with. */
export interface WorkerSettings {
  /** Of the checkpoint. */
  readonly folder: string;
  /** Of its documents, where these are no files of a folder. */
  readonly texts: Readonly<Record<string, string>> | undefined;
  readonly settings: EncodeSettings;
  /** See `OpenTokenizerOptions`. */
  readonly vocabularySize: number | undefined;
}

// `parentPort` is null where this is not a worker: nothing else starts it.
const port = parentPort!;
const { folder, texts, settings, vocabularySize } = workerData as WorkerSettings;
const { chatTemplate, date } = settings;
const now = date === undefined ? undefined : parseDate(date);
const documents = texts === undefined ? folder : knownDocuments(folder, texts);
const tokenizer = openTokenizer(documents, { chatTemplate, vocabularySize, now });
const encode = createRowEncoder(tokenizer, settings);
port.on('message', (rows: RowBatch) => {
  const batch: EncodedBatch = encodeBatch(encode, rows);
  port.postMessage(batch, [batch.ids.buffer, batch.trained.buffer, batch.examples.buffer]);
});
