import type { ProbeAnswer, TextQuestion } from '@glulam/trainer';
import type { Asked } from './choice-questions.js';
import { createPattern } from './pattern.js';
import { createField, textOf, type Row } from './template.js';
import type { TextTask } from './task-file.js';

/** The scores of a task whose answers are generated: a name a filter. */
export const textScores = ({ filter_list: filters }: TextTask): string[] =>
  filters?.map(({ name }) => name) ?? ['exact_match'];

/** How rows of a task whose answers are generated are read. */
export function textReader(task: TextTask): (row: Row) => Asked<TextQuestion & ProbeAnswer> {
  const text = createField(task.doc_to_text, 'doc_to_text');
  const target = createField(task.doc_to_target, 'doc_to_target');
  const shown = task.fewshot_config.doc_to_target;
  const shownField = shown === undefined ? target : createField(shown, 'fewshot_config.doc_to_target');
  const finders = findersOf(task);
  const normalize = normalizerOf(task);
  return (row) => {
    const expected = textOf(target, row, 'doc_to_target');
    const wanted = normalize(expected);
    const answer = textOf(shownField, row, 'doc_to_target of examples');
    return {
      text: textOf(text, row, 'doc_to_text'),
      answer,
      question: (prompt) => ({
        prompt,
        answer: `${task.target_delimiter}${answer}`,
        expected,
        grade(output) {
          const found = Object.fromEntries(finders.map(([name, find]) => [name, find(output)]));
          const scores = Object.fromEntries(
            Object.entries(found).map(([name, answer]) => [
              name,
              Number(answer !== null && normalize(answer) === wanted),
            ]),
          );
          return { found, scores };
        },
      }),
    };
  };
}

type Finder = (text: string) => string | null;

function findersOf({ filter_list: filters }: TextTask): (readonly [name: string, find: Finder])[] {
  if (filters === undefined) return [['exact_match', (text) => (text.trim() === '' ? null : text.trim())]];
  return filters.map(({ name, filter }) => {
    const regex = filter.find((each) => each.function === 'regex')!;
    const pattern = createPattern(regex.regex_pattern, `filter_list: the regex_pattern of ${name}`);
    return [name, (text) => pattern.find(text, regex.group_select)];
  });
}

// Python's string.punctuation.
const punctuation = /[!-/:-@[-`{-~]/g;

function normalizerOf({ metric_list: [metric] }: TextTask): (text: string) => string {
  const patterns = metric.regexes_to_ignore.map((source) => createPattern(source, 'metric_list: regexes_to_ignore'));
  return (given) => {
    let text = patterns.reduce((rest, pattern) => pattern.remove(rest), given.trim());
    if (metric.ignore_case) text = text.toLowerCase();
    return metric.ignore_punctuation ? text.replace(punctuation, '') : text;
  };
}
