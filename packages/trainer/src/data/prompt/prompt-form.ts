import { existsSync } from 'node:fs';
import { encodeSpans, type Tokenizer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { choose } from '../../config/choices.js';
import type { DataSources, RunConfig } from '../../config/config.js';
import { chooseFormat, useFormat, type ChosenFormat } from '../choose-format.js';
import { dataFormats, type SkippedRow } from '../data-format.js';
import { defaultPrompt, promptNames } from './prompt-text.js';
import { createRowReader, type FilledText } from '../read-row.js';
import { fileSource } from '../row-source.js';
import { expandFiles } from '../rows/expand-files.js';

/** How a run's rows ask: what a question has to look like for the model that was trained on them. */
export interface PromptForm {
  /** `question`: written into a text; `conversation`: a user's turn in the chat template. */
  readonly kind: 'question' | 'conversation';
  /** The kind of the data format. */
  readonly format: string;
  /** Of `question` the text, with the names of columns in braces. */
  readonly text: string | undefined;
  /** Columns that the prompt shows beside the question: `ask` needs them. */
  readonly columns: readonly string[];
  /** Whether `ask` takes a column beside the question. */
  takes(column: string): boolean;
  /** The text of a row with this question, and with these columns where the form has them; or why there is none. */
  ask(question: string, columns?: Readonly<Record<string, string>>): FilledText | SkippedRow;
}

/** Formats do not read rows without an answer, so rows that ask have this one. */
const answer = 'x';

/** What `openPromptForm` is given beside the run's config. */
export interface PromptFormOptions {
  /** Of a run whose files have both; default `question`. */
  readonly preferred?: PromptForm['kind'] | undefined;
  /**
   * The kinds of formats by which the run read its training files (`DataReport.format`); default: files that are here and
   * whose format the config does not name are looked at.
   */
  readonly recorded?: readonly string[] | undefined;
}

/**
 * The form of a run's prompts, of the first of its training files that has one. undefined where its rows are prompts and
 * texts as they are, or nothing says what they were.
 */
export async function openPromptForm(
  config: RunConfig,
  composition: Composition,
  { preferred = 'question', recorded }: PromptFormOptions = {},
): Promise<PromptForm | undefined> {
  const { train, prompt } = config.data;
  const formats: ChosenFormat[] = [];
  const add = (kind: string, choice: { readonly kind: string } = { kind }): void => {
    if (composition.find(dataFormats, kind) === undefined) return;
    const { contribution, options } = choose(composition, dataFormats, 'the format', choice);
    formats.push({ ...useFormat(contribution, options), isNamed: true });
  };
  for (const source of sourcesOf(train)) {
    if (source.format !== undefined) add(source.format.kind, source.format);
    // Rows that were passed in code are not here; the run recorded how they were read.
    else if (recorded === undefined && 'file' in source && existsSync(source.file))
      formats.push(await chooseFormat(composition, fileSource(expandFiles(source.file)[0]!), undefined));
  }
  for (const kind of recorded ?? []) if (!formats.some((each) => each.kind === kind)) add(kind);
  // Of a base or an adapter alone nothing but the form that is given is known.
  if (formats.length === 0 && prompt !== undefined) add('question_answer');
  const forms = formats.flatMap((format) => formOf(format, prompt) ?? []);
  return forms.find(({ kind }) => kind === preferred) ?? forms[0];
}

function formOf(format: ChosenFormat, prompt: string | undefined): PromptForm | undefined {
  const { ask: rowOf } = format;
  if (rowOf === undefined) return undefined;
  const readRow = createRowReader(format, prompt);
  const read = (question: string, columns: Readonly<Record<string, string>>) =>
    readRow(rowOf(question, columns, answer), () => 'a question');
  // A name in braces that the row does not have is a column to be given.
  const bare = rowOf('', {}, answer);
  const wanted = promptNames(prompt ?? defaultPrompt).filter(
    (name) => name !== 'question' && !Object.hasOwn(bare, name),
  );
  const placeholders = Object.fromEntries(wanted.map((name) => [name, `{${name}}`]));
  let shown = read('{question}', {}).text;
  if ('skip' in shown) shown = read('{question}', placeholders).text;
  if ('skip' in shown || 'text' in shown) return undefined;
  const names = 'prompt' in shown ? wanted : [];
  const takes = (column: string): boolean => {
    const { text, unused } = read(answer, {
      ...Object.fromEntries(names.map((name) => [name, answer])),
      [column]: answer,
    });
    return !Object.hasOwn(bare, column) && !('skip' in text) && !unused.includes(column);
  };
  return {
    kind: 'prompt' in shown ? 'question' : 'conversation',
    format: format.kind,
    text: 'prompt' in shown ? shown.prompt : undefined,
    columns: names,
    takes,
    ask(question, columns = {}) {
      const missing = names.filter((name) => !Object.hasOwn(columns, name));
      if (missing.length > 0) return { skip: `the prompt shows ${namesOf(missing)} too` };
      const others = Object.keys(columns).filter((name) => !names.includes(name) && !takes(name));
      return others.length > 0 ? { skip: `the prompt has no ${namesOf(others)}` } : read(question, columns).text;
    },
  };
}

const namesOf = (columns: readonly string[]): string => columns.map((name) => `{${name}}`).join(', ');

/** The tokens after which the answer of such a row is learnt. */
export function promptTokens(tokenizer: Tokenizer, text: FilledText): number[] {
  if ('messages' in text) {
    const messages = text.messages.at(-1)?.role === 'assistant' ? text.messages.slice(0, -1) : text.messages;
    const rendered = tokenizer.chatTemplate!.render(messages, { tools: text.tools, addGenerationPrompt: true });
    return tokenizer.encode(rendered, { addSpecialTokens: false });
  }
  if ('text' in text) return tokenizer.encode(text.text);
  const { ids, trained } = encodeSpans(tokenizer, [
    { text: text.prompt, trained: false },
    { text: text.completion, trained: true },
  ]);
  return ids.slice(0, trained.indexOf(true));
}

function sourcesOf(sources: DataSources) {
  const list = Array.isArray(sources) ? sources : [sources];
  return list.map((each) => (typeof each === 'string' ? { file: each, format: undefined } : each));
}
