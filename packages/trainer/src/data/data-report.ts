/** What became of one data file: how many rows, examples and tokens, and why rows were left out. */
export interface DataReport {
  readonly use: 'train' | 'heldOut';
  readonly file: string;
  /** The kind of the data format its rows were read by. */
  readonly format: string;
  readonly rows: number;
  /** Sequences that are trained or evaluated on; a long row gives several. */
  readonly examples: number;
  readonly tokens: number;
  /** Tokens that the loss counts. */
  readonly trainedTokens: number;
  /** Rows left out, by reason; `rowNumbers` are the first few, from 1; in JSONL the lines. */
  readonly skipped: readonly {
    readonly reason: string;
    readonly count: number;
    readonly rowNumbers: readonly number[];
  }[];
  /** What was mended in rows that are used, by note. */
  readonly notes: readonly { readonly note: string; readonly count: number }[];
}
