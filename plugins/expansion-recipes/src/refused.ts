import { ModelError } from '@glulam/model';

/** Why a mergekit file cannot be followed. */
export const refused = (message: string, cause?: unknown): ModelError =>
  new ModelError('EXPANSION_INVALID', message, { cause });
