import type { ChosenFormat } from './choose-format.js';
import type { RowText, SkippedRow } from './data-format.js';
import { numberText } from './rows/parse-json.js';
import { defaultPrompt, fillPrompt, promptNames } from './prompt/prompt-text.js';

/** What a row says with its prompt written out: all that the tokenizer needs of it. */
export type FilledText = Exclude<RowText, { readonly question: string }>;

interface ReadRow {
  readonly text: FilledText | SkippedRow;
  /** Columns that have a value and are not read, where the format names those that are. */
  readonly unused: readonly string[];
}

/** Reads rows by a format, and questions with `data.prompt`. */
export function createRowReader(
  format: ChosenFormat,
  prompt: string | undefined,
): (value: unknown, where: () => string) => ReadRow {
  return (value, where) => {
    const text = format.read(value, where);
    if ('skip' in text) return { text, unused: [] };
    if (hasHalfCharacter(text))
      return {
        text: {
          skip: 'its text holds half of a surrogate pair (such as \\ud83d alone), which is no character, or bytes that are not UTF-8',
        },
        unused: [],
      };
    const row = value as Readonly<Record<string, unknown>>;
    const { filled, used } = fill(text, row, prompt, format.columns?.(row));
    if (used === undefined || 'skip' in filled) return { text: filled, unused: [] };
    const unused = Object.keys(row).filter((key) => !used.includes(key) && !isNothing(row[key]));
    const left = 'messages' in text || format.isNamed ? undefined : unused.find((key) => partsOfPrompts.includes(key));
    if (left === undefined) return { text: filled, unused };
    const place = 'question' in text ? `name {${left}} in data.prompt` : 'write it into the prompt';
    return {
      text: {
        skip: `its "${left}" is not in the prompt: ${place}, or name the file's format in the config, which then leaves it out`,
      },
      unused: [],
    };
  };
}

/** Columns whose texts belong before a question or a prompt: without them a model would learn to answer from nothing. */
const partsOfPrompts: readonly string[] = ['context', 'system', 'system_prompt', 'system_message'];

interface Filled {
  readonly filled: FilledText | SkippedRow;
  readonly used: readonly string[] | undefined;
}

function fill(
  text: RowText,
  row: Readonly<Record<string, unknown>>,
  prompt: string | undefined,
  columns: readonly string[] | undefined,
): Filled {
  if (!('question' in text)) return { filled: text, used: columns };
  const { question, answer, prompt: whole, promptColumns = [], notes } = text;
  const noted = notes === undefined ? {} : { notes };
  if (prompt === undefined && whole !== undefined)
    return { filled: { prompt: whole, completion: answer, ...noted }, used: columns };
  const wanted = prompt ?? defaultPrompt;
  const names = promptNames(wanted);
  const used = columns && [...columns.filter((key) => !promptColumns.includes(key)), ...names];
  for (const name of names) {
    const fault = name === 'question' ? undefined : notPrintable(row, name);
    if (fault !== undefined) return { filled: { skip: `data.prompt names {${name}}, which ${fault}` }, used };
  }
  // `notPrintable` has refused lists and objects.
  const printed = row as Readonly<Record<string, string | number | bigint | boolean | null>>;
  const valueOf = (name: string): string =>
    name === 'question' ? question : (numberText(row[name]) ?? String(printed[name] ?? ''));
  return { filled: { prompt: fillPrompt(wanted, valueOf), completion: ` ${answer}`, ...noted }, used };
}

function notPrintable(row: Readonly<Record<string, unknown>>, name: string): string | undefined {
  if (!Object.hasOwn(row, name)) return 'the row does not have; braces that are text are doubled ({{ and }})';
  const value = row[name];
  const isPrinted = typeof value !== 'object' || value === null || value instanceof Number;
  return isPrinted ? undefined : 'is a list or an object, not a text';
}

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && !(value instanceof Number) && entriesOf(value).length === 0);

const entriesOf = (value: object): [key: string, value: unknown][] =>
  value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value);

/** A tokenizer would put U+FFFD in its place, and the model would learn that. */
function hasHalfCharacter(value: unknown): boolean {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return entriesOf(value).some(([key, each]) => hasHalfCharacter(key) || hasHalfCharacter(each));
}
