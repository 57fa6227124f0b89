import type { Example } from '../../step/batches.js';
import type { DataReport } from './data-report.js';
import type { TokenStore } from './token-store.js';

/** What is used of a file: all of it, or the part on one side of `data.heldOut`. */
export interface FileView {
  readonly report: DataReport;
  readonly weight: number | undefined;
  /** Tokens of one of its `report.examples` examples. */
  length(index: number): number;
  example(index: number): Example;
}

/** A file whose rows were tokenized. */
export interface OpenFile {
  readonly file: string;
  readonly store: TokenStore;
  readonly weight: number | undefined;
}

export function viewOf(use: DataReport['use'], { file, store, weight }: OpenFile): FileView {
  const report = { use, file, ...store.report };
  return { report, weight, length: (index) => store.length(index), example: (index) => store.read(index) };
}

/** The two sides of a file, by the indices of their examples. What is told of left-out rows is told once, in `train`. */
export function splitView(
  { file, store, weight }: OpenFile,
  indices: { readonly train: Uint32Array; readonly heldOut: Uint32Array },
): { readonly train: FileView; readonly heldOut: FileView } {
  const select = (side: Uint32Array, report: DataReport): FileView => ({
    report,
    weight,
    length: (index) => store.length(side[index]!),
    example: (index) => store.read(side[index]!),
  });
  const whole = store.report;
  const heldOut = {
    rows: new Set(Array.from(indices.heldOut, (index) => store.row(index))).size,
    examples: indices.heldOut.length,
    tokens: 0,
    trainedTokens: 0,
  };
  for (const index of indices.heldOut) {
    const { ids, trained } = store.read(index);
    heldOut.tokens += ids.length;
    for (const flag of trained) heldOut.trainedTokens += flag;
  }
  const train = {
    rows: whole.rows - heldOut.rows,
    examples: whole.examples - heldOut.examples,
    tokens: whole.tokens - heldOut.tokens,
    trainedTokens: whole.trainedTokens - heldOut.trainedTokens,
  };
  return {
    train: select(indices.train, { use: 'train', file, ...whole, ...train }),
    heldOut: select(indices.heldOut, { use: 'heldOut', file, ...whole, ...heldOut, skipped: [], notes: [] }),
  };
}
