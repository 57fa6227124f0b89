import { openPromptForm, recordedFormats, type FilledText, type PromptForm } from '@glulam/trainer';
import type { Arguments } from '../cli/arguments.js';
import { GlulamError } from '../errors.js';
import type { OpenedModel } from '../models/open-model.js';

/** By model: a run's events, which may be long, are read once. */
const recordedOf = new WeakMap<object, ReturnType<typeof recordedFormats>>();

/** How the rows that a model was trained on ask; undefined where nothing says it, or they ask nothing. */
export function promptFormOf(
  model: Pick<OpenedModel, 'config' | 'composition' | 'run'>,
  preferred: PromptForm['kind'] = 'question',
): Promise<PromptForm | undefined> {
  const { config, composition, run } = model;
  if (run !== undefined && !recordedOf.has(model)) recordedOf.set(model, recordedFormats(run));
  return openPromptForm(config, composition, { preferred, recorded: recordedOf.get(model) });
}

/** The options that are neither the command's own nor overrides of the config: columns of a prompt. */
export function columnsAmong(options: Arguments['options'], known: readonly string[]): Record<string, string> {
  const columns: Record<string, string> = {};
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name) || name === 'base' || name.includes('.')) continue;
    if (value === true) throw new GlulamError('USAGE', `--${name} is without a value`);
    columns[name] = value;
  }
  return columns;
}

/** @throws GlulamError USAGE where a column is not one of the prompt's */
export function checkColumns(
  command: string,
  form: PromptForm | undefined,
  columns: Readonly<Record<string, string>>,
  known: readonly string[],
): void {
  const other = Object.keys(columns).find((name) => form?.takes(name) !== true);
  if (other === undefined) return;
  const beside = form === undefined ? '' : `, and the prompt that the model was trained on has no column "${other}"`;
  throw new GlulamError(
    'USAGE',
    `glulam ${command} has no option --${other}${beside}; it has ${[...known, 'adapter'].map((each) => `--${each}`).join(', ')}`,
  );
}

/** A question as the model was trained to be asked. */
export function askAs(form: PromptForm, question: string, columns: Readonly<Record<string, string>>): FilledText {
  const text = form.ask(question, columns);
  if (!('skip' in text)) return text;
  const missing = form.columns.filter((name) => !Object.hasOwn(columns, name));
  const advice =
    missing.length === 0
      ? ''
      : `; give ${missing.map((name) => `--${name} TEXT`).join(' and ')}, or in code columns: { ${missing.map((name) => `${name}: '...'`).join(', ')} }`;
  throw new GlulamError('USAGE', `the question cannot be written as in training: ${text.skip}${advice}`);
}

/** Whether a prompt is written out in the form already: it has what the form puts after a question, or else before it. */
export function isInForm({ text }: PromptForm, prompt: string): boolean {
  const [before = '', after = ''] = (text ?? '').split('{question}').map((part) => part.trim());
  return after !== '' ? prompt.includes(after) : before === '' || prompt.includes(before);
}

/** For people: a form on one line, shortened. */
export function quoteForm({ text }: PromptForm): string {
  const quoted = JSON.stringify(text ?? '');
  return quoted.length <= 160 ? quoted : `${quoted.slice(0, 60)}...${quoted.slice(-60)}`;
}
