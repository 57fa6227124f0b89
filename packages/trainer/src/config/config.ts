import { adapters, strategies } from '@glulam/model';
import { engines } from '@glulam/tensors';
import { z } from 'zod';
import { dataFormats } from '../data/data-format.js';
import { promptNames } from '../data/prompt/prompt-text.js';
import { parseDate } from '../data/prompt/run-date.js';
import { evaluators } from '../evaluate/evaluator.js';
import { reporters } from '../events/reporter.js';

/** `{ kind, ...options }`, of which the point's contributions know the options: `choose` checks them. */
const choice = (of: { readonly id: string }) => z.looseObject({ kind: z.string() }).meta({ choiceOf: of.id });
const choiceOr = (kind: string, of: { readonly id: string }) =>
  z.looseObject({ kind: z.string().default(kind) }).meta({ choiceOf: of.id });
/** `when: 'end'`: after the last step only, for what takes longer than the loss. */
const evaluatorChoice = z
  .looseObject({
    kind: z.string(),
    name: z.string().optional().describe('What its scores go by, where two are of a kind; default: the kind.'),
    when: z.enum(['always', 'end']).optional().describe('`end`: after the last step only.'),
  })
  .meta({ choiceOf: evaluators.id });
const count = z.int().positive();

/** A data file, by its ending, or several. */
const source = z.strictObject({
  file: z
    .string()
    .describe(
      'A file (`.jsonl`, `.ndjson`, `.json`, `.csv` or `.tsv`, also as `.gz` or `.zst`; `.parquet`), a folder, or a pattern such as `data/*.jsonl`; on the Hub `hf://datasets/owner/name/path`.',
    ),
  format: choice(dataFormats)
    .optional()
    .describe("How rows are read: `{ kind: 'sharegpt' }`; default: the first format that the first row looks like."),
  weight: z
    .number()
    .positive()
    .optional()
    .describe(
      "Share of the examples drawn, relative to the others'; given for all files or none (then each counts by its size).",
    ),
});
/** What stands here of rows that were passed in code, which `givenInCode` holds. */
const rowsInCode = source.omit({ file: true }).extend({
  rows: z
    .strictObject({ count: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) })
    .describe(
      'Rows that were passed in code, as a run records them: their number and their hash. In code: `{ rows: [...] }`, or a function that gives them.',
    ),
});
const oneSource = z.union([z.string(), source, rowsInCode]);
const sources = z.union([z.string(), source, rowsInCode, z.array(oneSource).min(1)]);
const weightsOf = (given: DataSources): (number | undefined)[] =>
  (Array.isArray(given) ? given : [given]).map((each) => (typeof each === 'string' ? undefined : each.weight));
const trainSources = sources.refine(
  (given) => new Set(weightsOf(given).map((weight) => weight === undefined)).size < 2,
  'some files have a weight and some have none; give all of them one, or none (then each counts by its size)',
);
const heldOut = z.union([
  sources.refine(
    (given) => weightsOf(given).every((weight) => weight === undefined),
    'held-out data is not drawn from: weight is an option of data.train',
  ),
  z
    .number()
    .positive()
    .refine((wanted) => wanted < 1 || Number.isInteger(wanted), 'expected a share below 1, or a whole number of rows'),
]);

/** Optimizer steps of a run that names neither steps nor epochs. */
export const defaultSteps = 100;

/** The JSON-safe part of a config: what a run is, whole, so that it can be written down and repeated. */
export const runConfigSchema = z.strictObject({
  base: z
    .string()
    .describe('Folder of the base checkpoint, or a name that a source knows, such as owner/name of the Hub.')
    .meta({ examples: ['mistralai/Mistral-7B-v0.3'] }),
  expansion: choice(strategies)
    .optional()
    .describe(
      "Which layers are laid out: `{ kind: 'layer_map', layer_map: [[0, 16], [8, 24]] }`; none: the base as it is.",
    ),
  adapter: choiceOr('lora', adapters).prefault({}).describe("What is trained: `{ kind: 'lora', r: 8 }`."),
  engine: choiceOr('native', engines).prefault({}).describe("What computes: `{ kind: 'native', threads: 4 }`."),
  precision: z
    .enum(['auto', 'bfloat16', 'float32'])
    .default('auto')
    .describe('Operands of products with frozen weights, and kept activations; auto follows the checkpoint.'),
  seed: z.int().min(0).max(0xffffffff).default(0).describe('Of first values, dropout and the order of the data.'),
  data: z
    .strictObject({
      train: trainSources.describe('One file, or several that are mixed.').meta({ examples: ['rows.jsonl'] }),
      heldOut: heldOut
        .optional()
        .describe(
          'Files of their own, or what is set apart from `train`: a share of its rows (below 1) or so many of them.',
        ),
      prompt: z
        .string()
        .refine((text) => promptNames(text).length > 0, 'expected the name of a column in braces, such as {question}')
        .optional()
        .describe(
          'The text before an answer; `{question}` and any other `{column}` are replaced by those of the row, a doubled brace is a brace. ' +
            "Default: `Question: {question}`, a new line, `Answer:`; for alpaca rows Stanford Alpaca's text.",
        ),
      chatTemplate: z
        .string()
        .min(1)
        .optional()
        .describe("Jinja source, the name of a file of it, or `plain`; default: the base checkpoint's own."),
      date: z
        .string()
        .refine(
          (text) => parseDate(text) !== undefined,
          'expected a local date such as 2026-11-30, or with a time 2026-11-30T09:30:00',
        )
        .optional()
        .describe(
          'What a chat template that shows the date (`strftime_now`) takes for now: a local date or date-time, such as `2026-11-30` or `2026-11-30T09:30:00`; default: today, which a run records here.',
        ),
      loss: z
        .enum(['assistant', 'all'])
        .default('assistant')
        .describe(
          'What is learnt of conversations and prompts with completions: what the model is to write, or everything.',
        ),
      rewrittenTurns: z
        .enum(['each', 'last'])
        .default('each')
        .describe(
          'Where the chat template rewrites earlier turns (strips their reasoning, ends only the last): `each` turn of the assistant is learnt as it is written when it is the last, in examples of its own; or only the `last`.',
        ),
      maxTokens: count
        .default(2048)
        .describe(
          'Longer conversations are split between turns, longer texts anywhere; what cannot be split is left out and said.',
        ),
      cache: z
        .string()
        .optional()
        .describe(
          'Folder of tokenized data; default: `tokens` in the cache folder (GLULAM_CACHE, or ~/.cache/glulam).',
        ),
    })
    .describe('What is trained on and scored by.')
    .meta({ examples: [{ train: 'rows.jsonl' }] }),
  train: z
    .strictObject({
      steps: count.optional().describe('Optimizer steps; default 100, or what `epochs` come to. Not beside `epochs`.'),
      epochs: z.number().positive().optional().describe('Passes over the training data, instead of steps.'),
      batch: z
        .union([count, z.strictObject({ tokens: count.describe('Tokens a batch, at most.') })])
        .default(8)
        .describe('Examples a batch, or as many as fit into so many tokens; packed end to end, none sees another.'),
      accumulate: count.default(1).describe('Batches a step.'),
      learningRate: z.number().positive().default(2e-4).describe('Of AdamW, after the warm-up.'),
      schedule: z
        .union([
          z.enum(['cosine', 'linear', 'constant']),
          z.strictObject({
            inCode: z.literal(true).describe('A function that was passed in code, as a run records it.'),
            sha256: z.string().optional().describe('Hash of its values at all steps.'),
          }),
        ])
        .default('cosine')
        .describe(
          'The learning rate after the warm-up: down to 0 at the last step as a cosine or linearly, or constant. In code also a function.',
        )
        .meta({ alsoInCode: 'a function' }),
      warmupSteps: z.int().min(0).default(0).describe('Steps in which the learning rate rises from 0.'),
      weightDecay: z.number().min(0).default(0).describe('Of AdamW, decoupled.'),
      beta1: z.number().min(0).lt(1).default(0.9).describe('Of AdamW: decay of the mean of gradients.'),
      beta2: z.number().min(0).lt(1).default(0.999).describe('Of AdamW: decay of the mean of their squares.'),
      epsilon: z.number().positive().default(1e-8).describe('Of AdamW: added to the root of the latter.'),
      maxGradientNorm: z
        .number()
        .min(0)
        .default(1)
        .describe('Gradients are clipped to this common norm; 0: they are not.'),
      recompute: z
        .boolean()
        .default(false)
        .describe(
          "Keep only each virtual layer's input and compute the rest again in backward: less memory, more time.",
        ),
    })
    .refine(
      ({ steps, epochs }) => steps === undefined || epochs === undefined,
      'steps and epochs both say how long to train; keep one of them',
    )
    .prefault({})
    .describe('The training itself.'),
  evaluate: z
    .strictObject({
      evaluators: z
        .array(evaluatorChoice)
        .optional()
        .describe("What is scored: `[{ kind: 'loss' }]`; default: the held-out loss, if there is held-out data."),
      every: z.int().min(0).default(0).describe('Steps between evaluations; 0: only before and after.'),
      watch: z
        .strictObject({
          evaluator: z.string().default('loss').describe('The kind of one of the evaluators.'),
          score: z.string().default('loss').describe('One of its scores.'),
          better: z.enum(['lower', 'higher']).default('lower').describe('Which way is better.'),
        })
        .prefault({})
        .describe('The score that early stopping and the best checkpoint go by.'),
      patience: z
        .int()
        .min(0)
        .default(0)
        .describe('Stop after so many evaluations in a row without a better score; 0: never.'),
    })
    .prefault({})
    .describe('When scores are taken, and what follows from them.'),
  checkpoint: z
    .strictObject({
      every: z
        .int()
        .min(0)
        .default(100)
        .describe('Steps between checkpoints; 0: only at the end, on Ctrl-C and by request.'),
      keep: count.default(2).describe('How many of the newest are kept; the best one is kept besides.'),
    })
    .prefault({})
    .describe('What a run keeps of its way.'),
  reporters: z
    .array(choice(reporters))
    .default([{ kind: 'console' }])
    .describe("Who tells of the run: `[{ kind: 'console' }, { kind: 'tensorboard' }]`."),
  plugins: z
    .array(z.string())
    .optional()
    .describe('Packages with plugins beyond the built-in ones; found from the config, or from where you are.'),
  out: z.string().default('runs/latest').describe('The run folder.'),
});

/** A config as it is written: what has a default may be left out. */
export type RunConfigInput = z.input<typeof runConfigSchema>;
/** A config that was checked, with defaults filled in. */
export type RunConfig = z.output<typeof runConfigSchema>;

/** A file, or rows that were passed in code. */
export type DataSource = z.output<typeof oneSource>;
/** One, or several. */
export type DataSources = z.output<typeof sources>;
