import { FilesError } from '@glulam/files';
import { ModelError } from '@glulam/model';
import { ExportError } from '../errors.js';

/**
 * Why a file of a merged model was not written: a writer says of any fault that the file was not written; what is wrong
 * with the model or its files is reported as it is.
 */
export function faultOfWriting(error: unknown, signal: AbortSignal | undefined): unknown {
  const cause = error instanceof FilesError ? error.cause : undefined;
  const isOfFiles = cause instanceof FilesError && cause.code === 'FILE_CHANGED';
  return cause instanceof ModelError || cause instanceof ExportError || isOfFiles || signal?.aborted === true
    ? cause
    : error;
}
