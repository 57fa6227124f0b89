import path from 'node:path';
import { expandHome, readTextFile, readYaml } from '@glulam/files';
import { describeIssues, TrainerError } from '@glulam/trainer';
import { z } from 'zod';

// The names are those of lm-evaluation-harness's task files; `data` and `examples` stand for its data sets and splits.
const common = {
  /** For people. */
  task: z.string().optional(),
  /** The questions: a file of rows, named from the task file's folder. */
  data: z.string().optional(),
  /** Where examples for the prompt are drawn; default: from `data`, but for the question itself. */
  examples: z.string().optional(),
  /** Begins every prompt, as it is. */
  description: z.string().default(''),
  doc_to_text: z.string(),
  /** Between a text and its answer. */
  target_delimiter: z.string().default(' '),
  num_fewshot: z.int().min(0).default(0),
  fewshot_delimiter: z.string().default('\n\n'),
  fewshot_config: z
    .strictObject({
      sampler: z.enum(['default', 'first_n']).default('default'),
      /** The answer of an example, where it is not `doc_to_target`: with its reasoning, say. */
      doc_to_target: z.string().optional(),
    })
    .prefault({}),
};
/** What the harness's files say besides, of the one way that there is. */
const means = { aggregation: z.literal('mean').optional(), higher_is_better: z.literal(true).optional() };

const choiceSchema = z.strictObject({
  ...common,
  output_type: z.literal('multiple_choice'),
  /** The same choices for all, a column with a list, or a template of one. */
  doc_to_choice: z.union([z.string(), z.array(z.string()).min(2)]),
  /** The number of the right choice, from 0, or its text. */
  doc_to_target: z.union([z.string(), z.int().min(0)]),
  metric_list: z
    .array(z.strictObject({ metric: z.enum(['acc', 'acc_norm']), ...means }))
    .min(1)
    .default([{ metric: 'acc' }, { metric: 'acc_norm' }]),
});

const texts = z.union([z.string().transform((text) => [text]), z.array(z.string())]);
const filterSchema = z.strictObject({
  name: z.string().regex(/^[\w-]+$/, 'expected letters, digits, _ and -'),
  filter: z
    .array(
      z.discriminatedUnion('function', [
        z.strictObject({
          function: z.literal('regex'),
          regex_pattern: z.string(),
          /** Which of all matches: 0 is the first, -1 the last. */
          group_select: z.int().default(0),
        }),
        z.strictObject({ function: z.literal('take_first') }),
      ]),
    )
    .refine(
      (filters) => filters.filter((each) => each.function === 'regex').length === 1,
      'expected one filter of the function regex',
    ),
});
const textSchema = z.strictObject({
  ...common,
  output_type: z.literal('generate_until'),
  /** The right answer. */
  doc_to_target: z.string(),
  generation_kwargs: z
    .strictObject({
      /** Default: `fewshot_delimiter`. */
      until: texts.optional(),
      max_gen_toks: z.int().positive().default(256),
      do_sample: z.literal(false).optional(),
      temperature: z.literal(0).optional(),
    })
    .prefault({}),
  /** Ways of finding the answer in a text, a score each; default: the text, trimmed, as `exact_match`. */
  filter_list: z.array(filterSchema).min(1).optional(),
  metric_list: z
    .tuple([
      z.strictObject({
        metric: z.literal('exact_match'),
        ignore_case: z.boolean().default(false),
        ignore_punctuation: z.boolean().default(false),
        /** Taken out of both texts, one after another. */
        regexes_to_ignore: z.array(z.string()).default([]),
        ...means,
      }),
    ])
    .prefault([{ metric: 'exact_match' }]),
});

export type ChoiceTask = z.output<typeof choiceSchema>;
export type TextTask = z.output<typeof textSchema>;
export type Task = (ChoiceTask | TextTask) & { readonly data: string };
const schemas = { multiple_choice: choiceSchema, generate_until: textSchema };

/**
 * A task file, YAML or JSON, with the names of its files made absolute.
 *
 * @param given files that the config names in place of the task file's
 * @throws TrainerError DATA_UNREADABLE, CONFIG_INVALID with all faults
 */
export function readTaskFile(
  file: string,
  given: { readonly data?: string | undefined; readonly examples?: string | undefined },
): Task {
  let content: unknown;
  try {
    content = readYaml(readTextFile(file));
  } catch (cause) {
    throw new TrainerError('DATA_UNREADABLE', `the task file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const invalid = (faults: readonly string[]): TrainerError =>
    new TrainerError('CONFIG_INVALID', `the task file ${file} cannot be used:\n  ${faults.join('\n  ')}`);
  const type = (content as { output_type?: unknown } | null)?.output_type;
  if (type !== 'multiple_choice' && type !== 'generate_until')
    throw invalid([`output_type is ${JSON.stringify(type)}; expected multiple_choice or generate_until`]);
  const schema = schemas[type];
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw invalid(describeIssues(parsed.error, schema));
  const task = parsed.data;
  const place = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : path.resolve(path.dirname(file), expandHome(name));
  const { data = place(task.data), examples = place(task.examples) } = given;
  if (data === undefined) throw invalid(['data is missing: name a file of questions, here or beside "file"']);
  return { ...task, data, examples };
}
