import { noteLoaded } from '@glulam/plugin';

export { FilesError, type FilesErrorCode } from './errors.js';
export { eventLoopTurns } from './event-loop-turns.js';
export { compactName, isAdapterFolder, peftName } from './folders/adapter-folder.js';
export {
  isRunning,
  publishFolder,
  removeLeftovers,
  writeFileAtomic,
  writeFolderAtomic,
} from './folders/atomic-file.js';
export {
  areFolderFiles,
  documentNames,
  folderDocuments,
  mostDocumentBytes,
  type CheckpointDocuments,
} from './folders/checkpoint-documents.js';
export { cacheFolder } from './folders/cache-folder.js';
export { expandHome } from './folders/expand-home.js';
export { addressOfOwner, folderOwner, lockFolder, type FolderLock } from './folders/folder-lock.js';
export { linkOut } from './folders/links-out.js';
export { makeFolder } from './folders/make-folder.js';
export { describeWriteFault, isMissing, isSystemError, type SystemError } from './folders/system-error.js';
export { ggmlBytes, ggmlEncode, q8Block } from './gguf/ggml-encode.js';
export {
  encodeGgufHeader,
  ggufValue,
  padded,
  type GgmlType,
  type GgufTensorInfo,
  type GgufValue,
} from './gguf/gguf-header.js';
export { quoteValue, shortMessage } from './messages/quote-value.js';
export { shortLines, shortList } from './messages/short-list.js';
export {
  bytesPerElement,
  fromBfloat16Bits,
  fromFloat16Bits,
  roundTo,
  toBfloat16Bits,
  toFloat16Bits,
  type DType,
} from './numbers/dtype.js';
export { encodeFloats } from './numbers/encode-floats.js';
export { formatShape, sizeOf, type Shape } from './numbers/shape.js';
export { afterAChange, checkStamps, findStamp, whileUnchanged, type FileStamp } from './reading/file-stamp.js';
export { readBytes } from './reading/read-bytes.js';
export { checkRegular, openRegularFile, readRegularFile, readTextFile, readTextStart } from './reading/regular-file.js';
export {
  brokenLink,
  hasCheckpointFiles,
  openCheckpointFiles,
  openSafetensors,
  type CheckpointFiles,
} from './safetensors/checkpoint-files.js';
export { equalValues } from './safetensors/equal-values.js';
export { findNotFinite, notFiniteIn, type NotFinite } from './safetensors/not-finite.js';
export { readInts } from './safetensors/read-ints.js';
export { readSafetensorsHeader } from './safetensors/safetensors-header.js';
export { writeSafetensors, type SafetensorsInput } from './safetensors/safetensors-writer.js';
export { sampleHash } from './safetensors/sample-hash.js';
export { fileBytes, memoryBytes, type ByteSource } from './storage/byte-source.js';
export { nf4Formats } from './storage/nf4.js';
export { q8_0 } from './storage/q8-0.js';
export { inMemory, readFloats, readRows } from './storage/read-rows.js';
export {
  blockFormat,
  plainFormats,
  storedBytes,
  type BlockFormatOptions,
  type ByteRange,
  type StorageFormat,
} from './storage/storage-format.js';
export {
  checkFilePart,
  checkView,
  createWeightSource,
  orderRows,
  plainBytes,
  plainSource,
  sliceStack,
  viewRows,
  type FilePart,
  type WeightSource,
} from './storage/weight-source.js';
export { readPythonYaml } from './yaml/read-python-yaml.js';
export { readYaml, yamlLines } from './yaml/read-yaml.js';

noteLoaded('@glulam/files', import.meta.url);
