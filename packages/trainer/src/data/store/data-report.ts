/** What became of one data file: how many rows, examples and tokens, and why rows were left out. */
export interface DataReport {
  /** What the file's examples are for. */
  readonly use: 'train' | 'heldOut';
  /** Its path; of rows in code a name with their hash. */
  readonly file: string;
  /** The kind of the data format its rows were read by. */
  readonly format: string;
  /** Rows in all, those left out included. */
  readonly rows: number;
  /** Sequences that are trained or evaluated on; a long row gives several. */
  readonly examples: number;
  /** Of all examples. */
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

/** Reasons and notes that are told of many files. */
const mostKinds = 20;

/** What many files come to, as if they were one, the first: for people, who do not want a line each of thousands. */
export function sumReports(files: readonly DataReport[]): DataReport {
  const sum = (of: (file: DataReport) => number): number => files.reduce((total, file) => total + of(file), 0);
  const byText = (entries: readonly (readonly [text: string, count: number])[]): [string, number][] => {
    const counts = new Map<string, number>();
    for (const [text, count] of entries) counts.set(text, (counts.get(text) ?? 0) + count);
    return [...counts].sort(([, a], [, b]) => b - a).slice(0, mostKinds);
  };
  const skipped = byText(files.flatMap((file) => file.skipped.map(({ reason, count }) => [reason, count] as const)));
  const notes = byText(files.flatMap((file) => file.notes.map(({ note, count }) => [note, count] as const)));
  return {
    ...files[0]!,
    rows: sum(({ rows }) => rows),
    examples: sum(({ examples }) => examples),
    tokens: sum(({ tokens }) => tokens),
    trainedTokens: sum(({ trainedTokens }) => trainedTokens),
    skipped: skipped.map(([reason, count]) => ({ reason, count, rowNumbers: [] })),
    notes: notes.map(([note, count]) => ({ note, count })),
  };
}
