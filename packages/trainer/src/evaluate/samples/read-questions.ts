import type { z } from 'zod';
import { createDataTally, describeSkipped } from '../../data/store/data-tally.js';
import { expandFiles } from '../../data/rows/expand-files.js';
import { toPlain } from '../../data/rows/parse-json.js';
import { readRows } from '../../data/rows/read-rows.js';
import { TrainerError } from '../../errors.js';
import type { EvaluationContext } from '../evaluator.js';

/** What an evaluator reads of a file. */
export interface Questions<T> {
  /** What the reader made of each usable row, in order. */
  readonly rows: readonly T[];
  /** Rows that could not be used, and say nothing about the model. */
  readonly skipped: number;
}

/**
 * The rows of a data file, folder or pattern, as runs take them, that are what a schema expects, or that a reader makes questions of.
 * Others are left out and told with the reason; a file that is broken as such is an error.
 *
 * @param read gives what a row says, or why it cannot be used: `{ skip }`
 * @throws TrainerError DATA_UNREADABLE, DATA_INVALID, DATA_EMPTY where no row can be used
 */
export async function readQuestions<T>(
  file: string,
  read: (row: unknown) => { readonly row: T } | { readonly skip: string },
  { warn, signal }: Pick<EvaluationContext, 'warn' | 'signal'>,
): Promise<Questions<T>> {
  const rows: T[] = [];
  const tally = createDataTally();
  for (const each of expandFiles(file)) {
    for await (const { value, number } of readRows(each, signal)) {
      tally.row();
      const result = read(value);
      if ('row' in result) rows.push(result.row);
      else tally.skip(result.skip, number);
    }
  }
  const report = tally.report();
  const reasons = describeSkipped(report.skipped)
    .map((line) => `\n  ${line}`)
    .join('');
  if (rows.length === 0)
    throw new TrainerError(
      'DATA_EMPTY',
      `${file} has no row that can be asked${reasons === '' ? ': it is empty' : `:${reasons}`}`,
    );
  const skipped = report.rows - rows.length;
  if (skipped > 0) warn?.(`${file}: ${skipped} of ${report.rows} rows are left out:${reasons}`);
  return { rows, skipped };
}

/** A reader of rows that a schema describes. */
export const rowsOf =
  <T>(schema: z.ZodType<T>) =>
  (row: unknown): { readonly row: T } | { readonly skip: string } => {
    const parsed = schema.safeParse(toPlain(row));
    if (parsed.success) return { row: parsed.data };
    const [{ path, message }] = parsed.error.issues as [z.core.$ZodIssue];
    return { skip: path.length === 0 ? message : `${path.join('.')}: ${message}` };
  };
