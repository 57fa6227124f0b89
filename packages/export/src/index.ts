import { noteLoaded } from '@glulam/plugin';

export { ExportError, type ExportErrorCode } from './errors.js';
export { exportGguf } from './gguf/export-gguf.js';
export type { GgufType } from './gguf/gguf-tensors.js';
export { mergeCheckpoint, type MergeResult } from './merge/merge-checkpoint.js';
export type { MergedDtype } from './merge/merged-config.js';
export { describeMerged, type MergeSource } from './merge/merged-model.js';
export { checkCopied } from './merge/side-files.js';
export { sumSaved, type SavedPart } from './merge/sum-saved.js';
export { baseOfAdapter, readAdapter, writeAdapter } from './peft/compact-files.js';
export { readPeftAdapter, writePeftAdapter } from './peft/peft-files.js';

noteLoaded('@glulam/export', import.meta.url);
