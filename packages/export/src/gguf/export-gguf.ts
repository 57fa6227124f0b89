import path from 'node:path';
import {
  encodeGgufHeader,
  eventLoopTurns,
  ggmlBytes,
  padded,
  sizeOf,
  whileUnchanged,
  writeFileAtomic,
  type GgufTensorInfo,
} from '@glulam/files';
import { windowOf } from '@glulam/model';
import { faultOfWriting } from '../merge/fault-of-writing.js';
import { describeMerged, type MergeSource } from '../merge/merged-model.js';
import { checkFree, checkRoom } from '../merge/work-folder.js';
import { checkSideFiles } from '../merge/side-files.js';
import { ggufModelOf, modelMetadata } from './gguf-model.js';
import { ggufTensors, type GgufType } from './gguf-tensors.js';
import { tokenizerMetadata } from './gguf-tokenizer.js';

/** Where and how a GGUF file is written. */
interface GgufOptions {
  /** The file to write; it must not be there yet. */
  readonly file: string;
  /** How matrices are stored. */
  readonly type: GgufType;
  /** Jinja source in place of the base's chat template. */
  readonly chatTemplate?: string | undefined;
  /** Aborting ends the export; the unfinished file is removed. */
  readonly signal?: AbortSignal | undefined;
}

/** What was written. */
interface GgufResult {
  /** Absolute path of the file. */
  readonly file: string;
  /** As many as there were virtual ones. */
  readonly layers: number;
  /** Size of the file, padding included. */
  readonly bytes: number;
  /** What programs that read the file will do otherwise than the model says. */
  readonly notes: readonly string[];
}

/**
 * Write an expanded model, merged, as one GGUF file for llama.cpp and its kin. Goes by blocks of rows; the file stands under
 * its name when it is whole.
 *
 * @throws ExportError GGUF_UNSUPPORTED, MERGE_IMPOSSIBLE, WEIGHT_NOT_FINITE, OUTPUT_UNUSABLE, ADAPTER_INVALID, LINK_OUTSIDE;
 *   FilesError WRITE_FAILED, FILE_CHANGED
 */
export async function exportGguf(source: MergeSource, options: GgufOptions): Promise<GgufResult> {
  const { type, signal, chatTemplate } = options;
  const next = eventLoopTurns(signal);
  await next();
  const file = path.resolve(options.file);
  checkFree(file);
  const model = describeMerged(source);
  await next();
  const { spec, documents, files, family } = source.checkpoint;
  const written = { ...spec, layers: source.layers.map(({ physical }) => spec.layers[physical]!) };
  const described = ggufModelOf(written, family.kind);
  checkSideFiles(documents);
  const tokenizer = tokenizerMetadata(documents, spec.vocabularySize, chatTemplate);
  await next();
  const tensors = ggufTensors(model, described, type);
  let offset = 0;
  const infos = tensors.map((tensor): GgufTensorInfo => {
    const info = { ...tensor, offset };
    offset += padded(ggmlBytes(tensor.type, sizeOf(tensor.shape)));
    return info;
  });
  await next();
  const header = encodeGgufHeader(new Map([...modelMetadata(model, described, type), ...tokenizer.metadata]), infos);
  const bytes = header.length + offset;
  await checkRoom(path.dirname(file), bytes);
  try {
    await writeFileAtomic(
      file,
      (handle) =>
        whileUnchanged(files, async () => {
          await handle.writeFile(header);
          for (const tensor of tensors) {
            let written = 0;
            for await (const piece of tensor.bytes()) {
              signal?.throwIfAborted();
              await handle.writeFile(piece);
              written += piece.length;
            }
            await handle.writeFile(new Uint8Array(padded(written) - written));
          }
        }),
      { bytes },
    );
  } catch (error) {
    throw faultOfWriting(error, signal);
  }
  const notes = [...tokenizer.notes];
  const knowsWindows = described.names.graph?.keys?.includes('windows') === true;
  const windows = (knowsWindows ? [] : written.layers)
    .map(windowOf)
    .filter((window) => window > 0 && window < spec.maxPositions);
  if (windows.length > 0)
    notes.push(
      `llama.cpp knows no sliding window for this architecture: beyond ${Math.min(...windows)} tokens it attends to more than the model does`,
    );
  return { file, layers: source.layers.length, bytes, notes };
}
