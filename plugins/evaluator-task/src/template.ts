import { createJinjaTemplate, ModelError, type JinjaTemplate } from '@glulam/model';
import { numberText, TrainerError } from '@glulam/trainer';

export type Row = Readonly<Record<string, unknown>>;

/** What keeps a row from being asked; told of the row, which is left out. */
export class UnusableRow extends Error {
  override readonly name = 'UnusableRow';
}

/** A text of a row: the column that is named, or a Jinja template over the columns. */
interface Field {
  /** Whether it names a column. */
  readonly isColumn: boolean;
  /**
   * A column's value as it is; of a template the text.
   *
   * @throws UnusableRow where a column that is read is missing or null, or the template fails; TrainerError
   *   CONFIG_INVALID for what Glulam's Jinja lacks and for a template without end
   */
  read(row: Row): unknown;
}

/** @throws TrainerError CONFIG_INVALID for a template that cannot be parsed */
export function createField(source: string, name: string): Field {
  if (/^\w+$/.test(source)) {
    return {
      isColumn: true,
      read(row) {
        check(row, [source]);
        return row[source];
      },
    };
  }
  const template = parse(source, name);
  return {
    isColumn: false,
    read(row) {
      check(row, template.required);
      try {
        return template.render(row).text;
      } catch (cause) {
        // What this Jinja lacks, and a template without end, concern every row.
        if (!(cause instanceof ModelError) || cause.code === 'TEMPLATE_LIMIT') throw unusable(name, cause);
        throw new UnusableRow(`${name}: ${cause.message}`, { cause });
      }
    },
  };
}

function parse(source: string, name: string): JinjaTemplate {
  try {
    return createJinjaTemplate(source, 'task');
  } catch (cause) {
    throw unusable(name, cause);
  }
}

function unusable(name: string, cause: unknown): TrainerError {
  const isLimit = cause instanceof ModelError && cause.code === 'TEMPLATE_LIMIT';
  const what = isLimit ? 'cannot be used' : 'cannot be parsed as Jinja';
  return new TrainerError('CONFIG_INVALID', `${name} ${what}: ${(cause as Error).message}`, { cause });
}

/** A field's value as a text, as Python prints it. */
export function textOf(field: Field, row: Row, name: string): string {
  const value = field.read(row);
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  const number = numberText(value);
  if (number !== undefined) return number;
  throw new UnusableRow(`${name}: expected a text, got ${Array.isArray(value) ? 'a list' : `an ${typeof value}`}`);
}

/** Jinja would write nothing in the place of what is not there, and the model be asked half a question. */
function check(row: Row, columns: Iterable<string>): void {
  for (const column of columns)
    if (row[column] === undefined || row[column] === null)
      throw new UnusableRow(`the column ${column} is ${row[column] === null ? 'null' : 'missing'}`);
}
