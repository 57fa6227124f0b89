import { numberText, type ChoiceQuestion, type ProbeChoices } from '@glulam/trainer';
import { parsePythonList } from './python-list.js';
import { createField, textOf, UnusableRow, type Row } from './template.js';
import type { ChoiceTask } from './task-file.js';

/** What a row says of a question, but for the prompt. */
export interface Asked<Question> {
  readonly text: string;
  /** As examples have it. */
  readonly answer: string;
  question(prompt: string): Question;
}

/** How rows of a multiple-choice task are read. */
export function choiceReader(task: ChoiceTask): (row: Row) => Asked<ChoiceQuestion & ProbeChoices> {
  const { doc_to_choice: listed, doc_to_target: target, target_delimiter: delimiter } = task;
  const text = createField(task.doc_to_text, 'doc_to_text');
  const choicesField = typeof listed === 'string' ? createField(listed, 'doc_to_choice') : undefined;
  const targetField = typeof target === 'string' ? createField(target, 'doc_to_target') : undefined;
  const shown = task.fewshot_config.doc_to_target;
  const shownField = shown === undefined ? undefined : createField(shown, 'fewshot_config.doc_to_target');
  const metrics = task.metric_list.map(({ metric }) => metric);
  return (row) => {
    const choices = choicesField === undefined ? (listed as readonly string[]) : listOf(choicesField.read(row));
    const given = targetField?.read(row) ?? target;
    const right = indexOf(given, choices, targetField?.isColumn !== true);
    // Of a text the harness takes code points for its length.
    const lengths = choices.map((choice) => [...choice].length);
    return {
      text: textOf(text, row, 'doc_to_text'),
      answer: shownField === undefined ? choices[right]! : textOf(shownField, row, 'fewshot_config.doc_to_target'),
      question: (prompt) => ({
        prompt,
        choices: choices.map((choice) => `${delimiter}${choice}`),
        right: choices.map((_, i) => i === right),
        expected: choices[right]!,
        grade(logProbabilities) {
          const perCharacter = logProbabilities.map((value, i) => value / lengths[i]!);
          const all = { acc: logProbabilities, acc_norm: perCharacter };
          return Object.fromEntries(metrics.map((metric) => [metric, Number(likeliest(all[metric]) === right)]));
        },
      }),
    };
  };
}

/** The first of the largest. */
const likeliest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

function listOf(value: unknown): string[] {
  // A template's list is printed as Python prints it.
  const list = typeof value === 'string' ? parsePythonList(value) : value;
  if (list === undefined) throw new UnusableRow('doc_to_choice: expected a list, got a text');
  if (!Array.isArray(list) || list.length < 2) throw new UnusableRow('doc_to_choice: expected a list of two or more');
  return list.map((choice: unknown) => {
    const number = numberText(choice);
    if (number !== undefined) return number;
    if (typeof choice === 'string' && choice !== '') return choice;
    throw new UnusableRow('doc_to_choice: expected texts that are not empty');
  });
}

/** A number counts choices; a text is one of them, or a number where a template wrote it. */
function indexOf(target: unknown, choices: readonly string[], digitsCount: boolean): number {
  const isNumber =
    numberText(target) !== undefined || (digitsCount && typeof target === 'string' && /^\d+$/.test(target));
  const index = isNumber ? Number(target) : choices.indexOf(String(target));
  if (Number.isInteger(index) && index >= 0 && index < choices.length) return index;
  throw new UnusableRow('doc_to_target: expected the number of a choice, from 0, or its text');
}
