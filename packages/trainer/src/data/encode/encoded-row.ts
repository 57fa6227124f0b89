import type { Example } from '../../step/batches.js';
import type { SkippedRow } from '../data-format.js';

/** What became of a row: examples of at most `maxTokens`, with what is to be told of it; or why there are none. */
export type EncodedRow = SkippedRow | { readonly examples: readonly Example[]; readonly notes: readonly string[] };

/** Token ids with what is learnt of them. */
export interface Tokens {
  readonly ids: readonly number[];
  readonly trained: readonly boolean[];
}

/** `all`: everything is learnt. Nothing stands before the first token, so it is never. */
export function exampleOf({ ids, trained }: Tokens, all: boolean): Example {
  return {
    ids: Int32Array.from(ids),
    trained: Uint8Array.from(trained, (flag, i) => (i > 0 && (all || flag) ? 1 : 0)),
  };
}
