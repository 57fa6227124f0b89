import { z } from 'zod';

const choice = z.looseObject({ kind: z.string() });
/** `when: 'end'`: after the last step only, for what takes longer than the loss. */
const evaluatorChoice = z.looseObject({ kind: z.string(), when: z.enum(['always', 'end']).optional() });
const count = z.int().positive();

/** A data file: JSONL, JSON or Parquet, by its ending. */
const source = z.strictObject({
  file: z.string(),
  /** How rows are read: `{ kind: 'sharegpt' }`; default: the first format that the first row looks like. */
  format: choice.optional(),
  /** Share of the examples drawn, relative to the others'; given for all files or none (then each counts by its size). */
  weight: z.number().positive().optional(),
});
const sources = z.union([z.string(), source, z.array(z.union([z.string(), source])).min(1)]);
const weightsOf = (given: DataSources): (number | undefined)[] =>
  (Array.isArray(given) ? given : [given]).map((each) => (typeof each === 'string' ? undefined : each.weight));
const trainSources = sources.refine(
  (given) => new Set(weightsOf(given).map((weight) => weight === undefined)).size === 1,
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
  /** Folder of the base checkpoint, or a name that a source knows, such as owner/name of the Hub. */
  base: z.string(),
  /** `{ kind: 'layer_map', layer_map: [...] }`; none: the base as it is. */
  expansion: choice.optional(),
  /** `{ kind: 'lora', r: 8, ... }` */
  adapter: z.looseObject({ kind: z.string().default('lora') }).prefault({}),
  engine: z.looseObject({ kind: z.string().default('native') }).prefault({}),
  precision: z.enum(['auto', 'bfloat16', 'float32']).default('auto'),
  seed: z.int().min(0).max(0xffffffff).default(0),
  data: z.strictObject({
    /** One file, or several that are mixed. */
    train: trainSources,
    /** Files of their own, or what is set apart from `train`: a share of its rows (below 1) or so many of them. */
    heldOut: heldOut.optional(),
    /** The text before an answer; `{question}` is replaced by the row's. */
    prompt: z.string().includes('{question}').default('Question: {question}\nAnswer:'),
    /** Jinja source, the name of a file of it, or `plain`; default: the base checkpoint's own. */
    chatTemplate: z.string().min(1).optional(),
    /** What is learnt of conversations and prompts with completions: what the model is to write, or everything. */
    loss: z.enum(['assistant', 'all']).default('assistant'),
    /** Longer conversations are split between turns, longer texts anywhere; what cannot be split is left out and said. */
    maxTokens: count.default(2048),
    /** Folder of tokenized data; default: `tokens` in the cache folder (GLULAM_CACHE, or ~/.cache/glulam). */
    cache: z.string().optional(),
  }),
  train: z
    .strictObject({
      /** Optimizer steps; default 100, or what `epochs` come to. */
      steps: count.optional(),
      /** Passes over the training data, instead of steps. */
      epochs: z.number().positive().optional(),
      /** Examples a batch, or as many as fit into so many tokens; packed end to end, none sees another. */
      batch: z.union([count, z.strictObject({ tokens: count })]).default(8),
      /** Batches a step. */
      accumulate: count.default(1),
      learningRate: z.number().positive().default(2e-4),
      schedule: z.enum(['cosine', 'linear', 'constant']).default('cosine'),
      warmupSteps: z.int().min(0).default(0),
      weightDecay: z.number().min(0).default(0),
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.999),
      epsilon: z.number().positive().default(1e-8),
      /** 0: no clipping. */
      maxGradientNorm: z.number().min(0).default(1),
      /** Keep only each virtual layer's input and compute the rest again in backward: less memory, more time. */
      recompute: z.boolean().default(false),
    })
    .prefault({}),
  evaluate: z
    .strictObject({
      /** Default: the held-out loss, if there is held-out data. */
      evaluators: z.array(evaluatorChoice).optional(),
      /** Steps between evaluations; 0: only before and after. */
      every: z.int().min(0).default(0),
      /** The score that early stopping and the best checkpoint go by. */
      watch: z
        .strictObject({
          evaluator: z.string().default('loss'),
          score: z.string().default('loss'),
          better: z.enum(['lower', 'higher']).default('lower'),
        })
        .prefault({}),
      /** Stop after so many evaluations in a row without a better score; 0: never. */
      patience: z.int().min(0).default(0),
    })
    .prefault({}),
  checkpoint: z
    .strictObject({
      /** Steps between checkpoints; 0: only at the end, on Ctrl-C and by request. */
      every: z.int().min(0).default(100),
      /** How many of the newest are kept; the best one is kept besides. */
      keep: count.default(2),
    })
    .prefault({}),
  reporters: z.array(choice).default([{ kind: 'console' }]),
  /** The run folder. */
  out: z.string().default('runs/latest'),
});

export type RunConfigInput = z.input<typeof runConfigSchema>;
export type RunConfig = z.output<typeof runConfigSchema>;

/** A file, or several. */
export type DataSources = z.output<typeof sources>;
