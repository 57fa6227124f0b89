import * as jinja from '@huggingface/jinja';
import { TrainerError } from '@glulam/trainer';

// The package's types of these are in files that it names without their endings, which TypeScript does not find.
const { parse, tokenize } = jinja as unknown as {
  tokenize(source: string): unknown;
  parse(tokens: unknown): unknown;
};

export type Row = Readonly<Record<string, unknown>>;

/** What keeps a row from being asked; told of the row, which is left out. */
export class UnusableRow extends Error {
  override readonly name = 'UnusableRow';
}

/** A text of a row: the column that is named, or a Jinja template over the columns. */
export interface Field {
  /** Whether it names a column. */
  readonly isColumn: boolean;
  /**
   * A column's value as it is; of a template the text.
   *
   * @throws UnusableRow where a column that is read is missing or null, or the template fails
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
  const template = new jinja.Template('');
  let program: unknown;
  try {
    // As the harness reads templates: Jinja's own white space, and the last line feed kept, of which one is taken off.
    program = parse(tokenize(source.endsWith('\n') ? `${source}\n` : source));
  } catch (cause) {
    throw new TrainerError('CONFIG_INVALID', `${name} cannot be parsed as Jinja: ${(cause as Error).message}`, {
      cause,
    });
  }
  Object.assign(template, { parsed: program });
  const columns = columnsOf(program);
  return {
    isColumn: false,
    read(row) {
      check(row, columns);
      try {
        return template.render(row);
      } catch (cause) {
        throw new UnusableRow(`${name}: ${(cause as Error).message}`, { cause });
      }
    },
  };
}

/** A field's value as a text. */
export function textOf(field: Field, row: Row, name: string): string {
  const value = field.read(row);
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new UnusableRow(`${name}: expected a text, got ${Array.isArray(value) ? 'a list' : `an ${typeof value}`}`);
}

/** Jinja would write nothing in the place of what is not there, and the model be asked half a question. */
function check(row: Row, columns: Iterable<string>): void {
  for (const column of columns)
    if (row[column] === undefined || row[column] === null) throw new UnusableRow(`the column ${column} is missing`);
}

const builtIn = ['loop', 'range', 'namespace', 'true', 'false', 'none', 'True', 'False', 'None'];

interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}

/** The columns that a template cannot do without: the names that it reads, and neither makes itself nor asks after. */
function columnsOf(program: unknown): Set<string> {
  const read = new Set<string>();
  const others = new Set(builtIn);
  const names = (node: unknown, to: Set<string>): void => {
    const { type, value } = node as Node;
    if (type === 'Identifier') to.add(value as string);
    else if (type === 'TupleLiteral') for (const each of value as unknown[]) names(each, to);
  };
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node instanceof Map) return [...node].forEach(visit);
    if (typeof node !== 'object' || node === null) return;
    const { type, ...parts } = node as Node;
    const { filter, test, property, computed, loopvar, assignee, name, args, operand, ...rest } = parts;
    if (type === 'Identifier') return void read.add(parts['value'] as string);
    // Names of filters, tests and properties are no columns, their arguments may be.
    const called = (filter as Node | undefined)?.['callee'] ?? filter;
    if (type === 'FilterExpression') visit((filter as Node)['args']);
    if (type === 'MemberExpression' && computed === true) visit(property);
    if (type === 'If') visit(test);
    const isAskedAfter = ['defined', 'undefined', 'none', 'default'].includes(
      ((type === 'TestExpression' ? test : called) as Node | undefined)?.['value'] as string,
    );
    if (operand !== undefined && isAskedAfter) names(operand, others);
    for (const made of [loopvar, assignee, type === 'Macro' ? name : undefined])
      if (made !== undefined) names(made, others);
    if (type === 'Macro') for (const each of args as unknown[]) names(each, others);
    else visit(args);
    visit([operand, ...Object.values(rest)]);
  };
  visit(program);
  return new Set([...read].filter((each) => !others.has(each)));
}
