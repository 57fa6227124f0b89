import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { mostDocumentBytes } from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import { TrainerError } from '../../errors.js';
import type { ChosenFormat } from '../choose-format.js';
import { createDataTally, describeSkipped } from './data-tally.js';
import type { SkippedRow } from '../data-format.js';
import type { EncodedBatch } from '../encode/encode-batch.js';
import type { EncodeSettings } from '../encode/encode-settings.js';
import { openBatchEncoder, type BatchEncoder } from '../encode/open-batch-encoder.js';
import { checkChatTemplate } from '../encode/conversation-encoder.js';
import { createRowReader, type FilledText } from '../read-row.js';
import { checkRowLength } from '../rows/data-row.js';
import { distinctText } from '../rows/parse-json.js';
import type { RowSource } from '../row-source.js';
import { openTokenStore, type StoredReport, type TokenStore } from './token-store.js';
import { writeTokenStore, type TokenStoreWriter } from './write-token-store.js';

/** Goes up when the same rows come to other tokens or the store's file to another layout. */
const cacheVersion = 3;

// Below this a file is encoded before a worker has opened its tokenizer.
const bytesPerWorker = 2 ** 20;
const mostWorkers = 8;
/** Characters of rows that go to a worker at once. */
const batchCharacters = 2 ** 16;

interface TokenizeOptions {
  readonly source: RowSource;
  readonly format: ChosenFormat;
  readonly tokenizer: Tokenizer;
  readonly settings: EncodeSettings;
  /** `data.prompt` of the config. */
  readonly prompt: string | undefined;
  /** The folder of stores. */
  readonly cache: string;
  readonly signal?: AbortSignal | undefined;
  /** Default: by the file's size and the machine. What comes out is the same. */
  readonly workers?: number | undefined;
  readonly onProgress?: ((file: string, rows: number) => void) | undefined;
}

/**
 * The examples of a file: from the cache if it was tokenized before in the same way, else made and kept there.
 *
 * @throws TrainerError DATA_UNREADABLE, DATA_INVALID, DATA_EMPTY, ENCODING_FAILED, CACHE_WRITE_FAILED
 */
export async function tokenizeFile(options: TokenizeOptions): Promise<TokenStore> {
  const { source, format, settings, signal } = options;
  const identity = await source.identify(signal);
  const stored = path.join(options.cache, `${keyOf(identity, options)}.tokens`);
  const known = await openTokenStore(stored);
  if (known !== undefined) return known;

  const { bytes } = identity;
  const workers = options.workers ?? Math.min(availableParallelism(), mostWorkers, Math.floor(bytes / bytesPerWorker));
  const encoder = openBatchEncoder({ ...options, settings, workers });
  try {
    await writeTokenStore(stored, async (writer) => {
      const report = { format: format.kind, ...(await encodeRows(options, encoder, writer)) };
      checkReport(source.name, report);
      source.checkUnchanged();
      return report;
    });
  } finally {
    await encoder.close();
  }
  const store = await openTokenStore(stored);
  if (store !== undefined) return store;
  throw new TrainerError(
    'CACHE_WRITE_FAILED',
    `${stored} was written and then read otherwise; the disk may be failing: name another folder with data.cache or GLULAM_CACHE`,
  );
}

/** Read, format and encode all rows; the encoder's results are appended in the order of the rows. */
async function encodeRows(
  { source, format, tokenizer, prompt, signal, onProgress }: TokenizeOptions,
  encoder: BatchEncoder,
  writer: TokenStoreWriter,
) {
  const { name: file } = source;
  const tally = createDataTally();
  const readRow = createRowReader(format, prompt);
  const underWay: { readonly numbers: readonly number[]; readonly result: Promise<EncodedBatch> }[] = [];
  let texts: (FilledText | SkippedRow)[] = [];
  let numbers: number[] = [];
  let characters = 0;
  let templateChecked = false;
  let written = 0; // rows of the batches that were appended

  const appendFirst = async (): Promise<void> => {
    const first = underWay.shift()!;
    // A long row takes a worker minutes, which an aborted run does not wait for.
    const batch = await untilAborted(first.result, signal);
    for (let i = 0, at = 0; i < batch.examples.length; i += 2) {
      const length = batch.examples[i]!;
      let learnt = 0;
      for (let end = at + length; at < end; at++) learnt += batch.trained[at]!;
      tally.example(length, learnt);
    }
    for (const [row, reason] of batch.skipped) tally.skip(reason, first.numbers[row]!);
    for (const note of batch.notes) tally.note(note);
    await writer.append(batch, written);
    written += first.numbers.length;
    onProgress?.(file, written);
  };
  const send = async (): Promise<void> => {
    const result = encoder.encode(texts, characters);
    // It is awaited in its turn; until then a failure is not unhandled.
    result.catch(() => {});
    underWay.push({ numbers, result });
    [texts, numbers, characters] = [[], [], 0];
    while (underWay.length >= encoder.capacity) await appendFirst();
  };

  for await (const { number, value } of source.read(signal)) {
    tally.row();
    const { text, unused } = readRow(value, () => `${file}, row ${number}`);
    tally.unused(unused);
    if (!templateChecked && 'messages' in text) {
      checkChatTemplate(tokenizer, file);
      templateChecked = true;
    }
    texts.push(text);
    numbers.push(number);
    const size = sizeOf(text);
    checkRowLength(size, `${file}, row ${number}`);
    characters += size;
    if (characters >= batchCharacters || texts.length >= 1024) await send();
  }
  if (texts.length > 0) await send();
  while (underWay.length > 0) await appendFirst();
  return tally.report();
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop = (): void => {};
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, fail) => {
        stop = () => fail(signal.reason as Error);
        signal.addEventListener('abort', stop);
      }),
    ]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function sizeOf(text: FilledText | SkippedRow): number {
  if ('messages' in text) return distinctText(text).length;
  if ('prompt' in text) return text.prompt.length + text.completion.length;
  return 'text' in text ? text.text.length : 0;
}

function checkReport(file: string, { format, rows, examples, skipped }: StoredReport): void {
  if (rows === 0) throw new TrainerError('DATA_EMPTY', `${file} has no rows`);
  if (examples > 0) return;
  throw new TrainerError(
    'DATA_EMPTY',
    `no row of ${file} can be used, read as "${format}":\n  ${describeSkipped(skipped).join('\n  ')}`,
  );
}

/** Everything that decides what is in a store. */
function keyOf(
  { content, ending }: { readonly content: string; readonly ending: string },
  { format, prompt, settings, tokenizer }: TokenizeOptions,
): string {
  const key = {
    version: cacheVersion,
    content,
    ending,
    format: [format.kind, format.options, format.isNamed ?? false],
    files: hashesOf(tokenizer),
    prompt,
    settings,
    // Only where it decides whether a token is refused, so that other keys stay as they were.
    embeddingRows:
      tokenizer.vocabularySize > (tokenizer.embeddingRows ?? Infinity) ? tokenizer.embeddingRows : undefined,
  };
  return createHash('sha256').update(JSON.stringify(key)).digest('hex');
}

/** Once a tokenizer: its files may have megabytes, and there may be thousands of data files. */
const knownHashes = new WeakMap<Tokenizer, readonly (string | null)[]>();

function hashesOf(tokenizer: Tokenizer): readonly (string | null)[] {
  const known = knownHashes.get(tokenizer);
  if (known !== undefined) return known;
  const hashes = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'].map((name) => {
    const { documents } = tokenizer;
    return documents.has(name)
      ? createHash('sha256').update(documents.read(name, mostDocumentBytes)).digest('hex')
      : null;
  });
  knownHashes.set(tokenizer, hashes);
  return hashes;
}
