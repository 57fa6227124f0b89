import { createHash, type Hash } from 'node:crypto';
import { copyFileSync, createReadStream, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  areFolderFiles,
  describeWriteFault,
  documentNames,
  eventLoopTurns,
  FilesError,
  isSystemError,
  mostDocumentBytes,
  readSafetensorsHeader,
  sizeOf,
  whileUnchanged,
  writeSafetensors,
  type CheckpointDocuments,
} from '@glulam/files';
import { ModelError, trainedRows, type Checkpoint } from '@glulam/model';
import { ExportError } from '../errors.js';
import { encodeTensor, rowBlocks, storedDtype } from './encode-rows.js';
import { faultOfWriting } from './fault-of-writing.js';
import { checkReadsBack, mergedConfig, type MergedDtype } from './merged-config.js';
import { describeMerged, type MergeSource } from './merged-model.js';
import { checkSideFiles } from './side-files.js';
import { planShards, shardIndex, type Shard } from './shards.js';
import { checkRoom, openWorkFolder, type WorkFolder } from './work-folder.js';

/** Where and how a merged checkpoint is written. */
interface MergeOptions {
  /** The folder to write; it must not be there yet. */
  readonly out: string;
  /** Default: each tensor as the base stores it. */
  readonly dtype?: MergedDtype | undefined;
  /** The most that one file holds of tensors; default 5 GB. */
  readonly shardBytes?: number | undefined;
  /** Jinja source in place of the base's chat template. */
  readonly chatTemplate?: string | undefined;
  /** Its model card, README.md. */
  readonly card?: string | undefined;
  /** Aborting leaves what is finished, for the same merge to go on from. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each file of tensors: its name, the bytes of its tensors, and whether an earlier merge had finished it. */
  readonly onShard?:
    ((shard: { readonly file: string; readonly bytes: number; readonly kept: boolean }) => void) | undefined;
}

/** What was written. */
export interface MergeResult {
  /** The checkpoint's folder. */
  readonly folder: string;
  /** As many as there were virtual ones. */
  readonly layers: number;
  /** Of the whole checkpoint. */
  readonly parameters: number;
  /** Of all tensors. */
  readonly bytes: number;
}

/**
 * Fold an expanded model's adapters, gates and residual scales into separate weights and write them as a plain checkpoint,
 * which transformers and Glulam read like any other. Goes by blocks of rows: a few dozen megabytes, whatever the model's
 * size. A merge that was killed goes on from the files it had finished, which are verified; under `out` there is nothing
 * or all of it.
 *
 * @throws ExportError MERGE_IMPOSSIBLE, WEIGHT_NOT_FINITE, OUTPUT_UNUSABLE, ADAPTER_INVALID, LINK_OUTSIDE; FilesError
 *   WRITE_FAILED, FILE_CHANGED
 */
export async function mergeCheckpoint(source: MergeSource, options: MergeOptions): Promise<MergeResult> {
  const { dtype, shardBytes = 5e9, signal, onShard } = options;
  const out = path.resolve(options.out);
  const { checkpoint } = source;
  const next = eventLoopTurns(signal);
  await next();
  // Before hours of writing weights.
  checkSideFiles(checkpoint.documents);
  const model = describeMerged(source);
  await next();
  const config = mergedConfig(model, dtype);
  checkReadsBack(model, config);
  const shards = planShards(model.tensors, dtype, shardBytes);
  await next();
  const work = await openWorkFolder(out, fingerprintOf(source, options, shardBytes));
  try {
    const done = new Set<Shard>();
    for (const shard of shards) if (await isFinished(work, shard)) done.add(shard);
    const missing = shards.filter((shard) => !done.has(shard));
    await checkRoom(
      work.content,
      missing.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const shard of shards) {
      if (!done.has(shard)) await writeShard(work, checkpoint, shard, dtype, signal);
      onShard?.({ file: shard.file, bytes: shard.bytes, kept: done.has(shard) });
    }
    await writeRest(work.content, checkpoint.documents, config, shards, options.chatTemplate);
    if (options.card !== undefined) await writeFile(path.join(work.content, 'README.md'), options.card);
    signal?.throwIfAborted();
    await work.publish();
  } catch (error) {
    // The same model would fail again; what a full disk or a signal stopped can go on.
    const hopeless = error instanceof ModelError || (error instanceof ExportError && error.code !== 'OUTPUT_UNUSABLE');
    await (hopeless || work.finished.size === 0 ? work.remove() : work.release());
    throw isSystemError(error)
      ? new ExportError('OUTPUT_UNUSABLE', `${out} was not written: ${describeWriteFault(error)}`, { cause: error })
      : error;
  }
  return {
    folder: out,
    layers: source.layers.length,
    parameters: model.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** All that the files follow from. Of the base's weights size and time stand for the content: they are too many to read. */
function fingerprintOf({ checkpoint, layers, saved }: MergeSource, options: MergeOptions, shardBytes: number): string {
  const hash = createHash('sha256');
  const files = checkpoint.files.files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [path.resolve(file), size, mtimeMs];
  });
  const { dtype = null, chatTemplate = null } = options;
  const choice = saved?.choice ?? null;
  hash.update(
    JSON.stringify({
      version: 1,
      files,
      config: checkpoint.config.fields,
      layers,
      choice,
      dtype,
      chatTemplate,
      shardBytes,
    }),
  );
  for (const [name, trained] of saved?.values ?? []) {
    hash.update(JSON.stringify([name, trained.shape]));
    for (const { start, end } of rowBlocks(trained.shape)) {
      const rows = trainedRows(trained, start, end);
      hash.update(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
    }
  }
  return hash.digest('hex');
}

async function writeShard(
  work: WorkFolder,
  { files }: Checkpoint,
  { file, tensors }: Shard,
  dtype: MergedDtype | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  const inputs = tensors.map((tensor) => {
    const stored = storedDtype(tensor, dtype);
    // Tensors are asked for in the order in which they lie in the file.
    return {
      name: tensor.name,
      shape: tensor.shape,
      dtype: stored,
      data: () => hashed(encodeTensor(tensor, stored), hash, signal),
    };
  });
  try {
    await whileUnchanged(files, () => writeSafetensors(path.join(work.content, file), inputs));
  } catch (error) {
    throw faultOfWriting(error, signal);
  }
  await work.finish(file, hash.digest('hex'));
}

async function* hashed(
  pieces: AsyncIterable<Uint8Array>,
  hash: Hash,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    hash.update(piece);
    yield piece;
  }
}

/** Whether an earlier process wrote a shard and it is still as it was written. */
async function isFinished(work: WorkFolder, { file, tensors }: Shard): Promise<boolean> {
  const noted = work.finished.get(file);
  if (noted === undefined) return false;
  const place = path.join(work.content, file);
  let dataOffset: number;
  try {
    const header = readSafetensorsHeader(place);
    dataOffset = header.dataOffset;
    if (tensors.some(({ name }) => !header.tensors.has(name))) return false;
  } catch (error) {
    if (error instanceof FilesError) return false;
    throw error;
  }
  const hash = createHash('sha256');
  for await (const piece of createReadStream(place, { start: dataOffset, highWaterMark: 2 ** 20 }))
    hash.update(piece as Uint8Array);
  return hash.digest('hex') === noted;
}

/** Everything but the weights. */
async function writeRest(
  folder: string,
  base: CheckpointDocuments,
  config: Record<string, unknown>,
  shards: readonly Shard[],
  chatTemplate: string | undefined,
): Promise<void> {
  const json = (name: string, value: unknown): Promise<void> =>
    writeFile(path.join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  for (const name of checkSideFiles(base)) {
    // Documents of a file, and those that a reader changes, are written as it reads them; other files of a folder are copied.
    const isRead = base.texts !== undefined || (!areFolderFiles(base) && documentNames.includes(name));
    if (isRead) await writeFile(path.join(folder, name), base.read(name, mostDocumentBytes));
    else copyFileSync(base.locate(name), path.join(folder, name));
  }
  await json('config.json', config);
  const index = shardIndex(shards);
  if (index !== undefined) await json('model.safetensors.index.json', index);
  if (chatTemplate !== undefined) await writeFile(path.join(folder, 'chat_template.jinja'), chatTemplate);
}
