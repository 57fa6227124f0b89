import { z } from 'zod';

const choice = z.looseObject({ kind: z.string() });
const count = z.int().positive();

/** The JSON-safe part of a config: what a run is, whole, so that it can be written down and repeated. */
export const runConfigSchema = z.strictObject({
  /** Folder of the base checkpoint. */
  base: z.string(),
  /** `{ kind: 'layer_map', layer_map: [...] }`; none: the base as it is. */
  expansion: choice.optional(),
  /** `{ kind: 'lora', r: 8, ... }` */
  adapter: z.looseObject({ kind: z.string().default('lora') }).prefault({}),
  engine: z.looseObject({ kind: z.string().default('native') }).prefault({}),
  precision: z.enum(['auto', 'bfloat16', 'float32']).default('auto'),
  seed: z.int().min(0).max(0xffffffff).default(0),
  data: z.strictObject({
    /** JSONL: `{ question, answer }` or `{ messages }` a line. */
    train: z.string(),
    heldOut: z.string().optional(),
    /** The text before an answer; `{question}` is replaced by the row's. */
    prompt: z.string().includes('{question}').default('Question: {question}\nAnswer:'),
    maxTokens: count.default(2048),
  }),
  train: z
    .strictObject({
      steps: count.default(100),
      /** Examples a batch; all are packed end to end, none sees another. */
      batch: count.default(8),
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
      evaluators: z.array(choice).optional(),
      /** Steps between evaluations; 0: only before and after. */
      every: z.int().min(0).default(0),
    })
    .prefault({}),
  reporters: z.array(choice).default([{ kind: 'console' }]),
  /** The run folder. */
  out: z.string().default('runs/latest'),
});

export type RunConfigInput = z.input<typeof runConfigSchema>;
export type RunConfig = z.output<typeof runConfigSchema>;
