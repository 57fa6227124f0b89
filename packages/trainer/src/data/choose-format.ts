import type { Composition } from '@glulam/plugin';
import { choose } from '../config/choices.js';
import { TrainerError } from '../errors.js';
import { adviceFor, describeRow } from './describe-row.js';
import { dataFormats, type DataFormat, type RowText, type SkippedRow } from './data-format.js';
import type { RowSource } from './row-source.js';

/** A format with its options, as it is used on a file. */
export interface ChosenFormat {
  readonly kind: string;
  readonly options: unknown;
  /** The config names it; otherwise it was recognized by the file's first row. */
  readonly isNamed?: boolean | undefined;
  /** The columns that a row is read from, where the format says so. */
  columns?(row: Readonly<Record<string, unknown>>): readonly string[];
  /** A row that asks a question, where the format says so. */
  ask?(question: string, columns: Readonly<Record<string, string>>, answer: string): Readonly<Record<string, unknown>>;
  /** `where`: file and row, for the message of a format that breaks its contract. */
  read(value: unknown, where: () => string): RowText | SkippedRow;
}

/**
 * The format that a config names for a file; without one, the first that takes the file's first row for its own.
 *
 * @throws TrainerError CONFIG_INVALID, DATA_INVALID where no format fits, DATA_EMPTY where there is no row
 */
export async function chooseFormat(
  composition: Composition,
  source: RowSource,
  choice: { readonly kind: string } | undefined,
  signal?: AbortSignal,
): Promise<ChosenFormat> {
  const { name: file } = source;
  if (choice !== undefined) {
    const { contribution, options } = choose(composition, dataFormats, `the format of ${file}`, choice);
    return { ...useFormat(contribution, options), isNamed: true };
  }
  const formats = composition.all(dataFormats);
  for await (const { value } of source.read(signal)) {
    const row = isRecord(value) ? value : undefined;
    const format = row && formats.find((each) => each.matches(row));
    if (format !== undefined) return useFormat(format, format.schema.parse({}));
    const got =
      row === undefined
        ? `is ${describe(value)}; expected an object`
        : `has ${describeRow(row)}; no installed format reads such rows`;
    const advice = row && (renamingFor(row, formats) ?? adviceFor(row));
    throw new TrainerError(
      'DATA_INVALID',
      `the first row of ${file} ${got}. Formats and their rows:\n` +
        `${formats.map(({ kind, shape }) => `  ${kind}: ${shape}`).join('\n')}\n` +
        `${advice === undefined ? '' : `${advice} `}` +
        "Name one whose options fit, such as { file, format: { kind: 'text', column: 'body' } }, or rename the keys.",
    );
  }
  throw new TrainerError('DATA_EMPTY', `${file} has no rows`);
}

/** A format with its options. */
export function useFormat(format: DataFormat, options: unknown): ChosenFormat {
  return {
    kind: format.kind,
    options,
    ...(format.columns === undefined ? {} : { columns: (row) => format.columns!(row, options) }),
    ...(format.ask === undefined
      ? {}
      : { ask: (question, columns, answer) => format.ask!(question, columns, answer, options) }),
    read(value, where) {
      if (!isRecord(value)) return { skip: `the row is ${describe(value)}, not an object` };
      try {
        return format.read(value, options);
      } catch (cause) {
        throw new TrainerError(
          'DATA_INVALID',
          `the data format "${format.kind}" failed at ${where()}: ${(cause as Error).message}; a format skips rows that it cannot read: tell its author`,
          { cause },
        );
      }
    },
  };
}

/** Where a row would be read if its columns were named in lower case and without spaces around. */
function renamingFor(row: Record<string, unknown>, formats: readonly DataFormat[]): string | undefined {
  const nameOf = (key: string): string => key.trim().toLowerCase();
  const renamed = Object.fromEntries(Object.entries(row).map(([key, value]) => [nameOf(key), value]));
  const format = formats.find((each) => each.matches(renamed));
  if (format === undefined) return undefined;
  const names = Object.keys(row).filter((key) => nameOf(key) !== key);
  return `Names of columns are taken as they are: with ${names.map((key) => `"${key}" as "${nameOf(key)}"`).join(', ')} it would be read as "${format.kind}".`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const describe = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
