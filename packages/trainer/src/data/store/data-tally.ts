import type { DataReport } from './data-report.js';

/** What is told of a file's rows; kept beside its tokens. */
export type RowReport = Pick<DataReport, 'rows' | 'examples' | 'tokens' | 'trainedTokens' | 'skipped' | 'notes'>;

/** Row numbers told of a reason. */
const shownRows = 5;
/** Columns named in a report. */
const shownColumns = 20;
/** Reasons and notes told apart; a template that names the row in its refusal would else fill the memory. */
const most = 50;

/** Counts what becomes of rows, in their order. */
interface DataTally {
  row(): void;
  example(tokens: number, trainedTokens: number): void;
  skip(reason: string, rowNumber: number): void;
  note(note: string): void;
  /** Columns of a row that nothing is read from. */
  unused(columns: readonly string[]): void;
  report(): RowReport;
}

export function createDataTally(): DataTally {
  const skipped = new Map<string, { count: number; rowNumbers: number[] }>();
  const notes = new Map<string, number>();
  const unused = new Set<string>();
  let rowsWithUnused = 0;
  const totals = { rows: 0, examples: 0, tokens: 0, trainedTokens: 0 };
  return {
    row: () => void totals.rows++,
    example(tokens, trainedTokens) {
      totals.examples += 1;
      totals.tokens += tokens;
      totals.trainedTokens += trainedTokens;
    },
    skip(reason, rowNumber) {
      const name = skipped.has(reason) || skipped.size < most ? reason : 'other reasons';
      const entry = skipped.get(name) ?? { count: 0, rowNumbers: [] };
      skipped.set(name, entry);
      entry.count += 1;
      if (entry.rowNumbers.length < shownRows) entry.rowNumbers.push(rowNumber);
    },
    note(note) {
      const name = notes.has(note) || notes.size < most ? note : 'other notes';
      notes.set(name, (notes.get(name) ?? 0) + 1);
    },
    unused(columns) {
      if (columns.length > 0) rowsWithUnused += 1;
      for (const column of columns) if (unused.size < most) unused.add(column);
    },
    report: () => ({
      ...totals,
      skipped: [...skipped].map(([reason, entry]) => ({ reason, ...entry })).sort((a, b) => b.count - a.count),
      notes: [...notes, ...unusedNote(unused, rowsWithUnused)]
        .map(([note, count]) => ({ note, count }))
        .sort((a, b) => b.count - a.count),
    }),
  };
}

/** One line a file, however many columns there are. */
function unusedNote(columns: ReadonlySet<string>, rows: number): (readonly [string, number])[] {
  if (columns.size === 0) return [];
  const names = [...columns].map((name) => (name === '' ? '(without a name)' : name));
  const shown = names.slice(0, shownColumns).join(', ');
  const more = names.length > shownColumns ? ' and others' : '';
  return [[`columns that are not used: ${shown}${more}`, rows]];
}

/** Why rows are left out, a line a reason: `3 rows (1, 4, 9): the answer is empty`. */
export function describeSkipped(skipped: DataReport['skipped']): string[] {
  return skipped.map(({ reason, count, rowNumbers }) => {
    const numbers = `${rowNumbers.join(', ')}${count > rowNumbers.length ? ', ...' : ''}`;
    const shown = rowNumbers.length === 0 ? '' : ` (${numbers})`;
    return `${count} ${count === 1 ? 'row' : 'rows'}${shown}: ${reason}`;
  });
}
