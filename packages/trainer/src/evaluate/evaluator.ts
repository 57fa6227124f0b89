import type { Decoder, Tokenizer } from '@glulam/model';
import { point } from '@glulam/plugin';
import type { z } from 'zod';
import type { Example } from '../step/batches.js';
import type { ProbeContext, ProbeSet } from './probe/probe-set.js';
import type { SampleLog } from './samples/sample.js';

/** What an evaluator may look at; it leaves the model as it found it. */
export interface EvaluationContext {
  /** The model to be scored. */
  readonly decoder: Decoder;
  /** The model's. */
  readonly tokenizer: Tokenizer;
  /** Held-out examples; empty if the config names none. */
  readonly heldOut: readonly Example[];
  /** Aborting rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /**
   * Where every sample is kept as it is scored, and what an interrupted evaluation kept before; absent where nobody wants
   * them. `generateAnswers` and `scoreChoices` see to it.
   */
  openSamples?(): Promise<SampleLog>;
  /** For people: what was left out, or looks wrong. */
  warn?(message: string): void;
  /** How many of all questions or examples are scored; as often as it changes. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Scores a model: names to numbers, such as `{ loss: 2.19 }`. */
export interface Evaluator {
  /** Names of scores to their values. */
  evaluate(context: EvaluationContext): Promise<Readonly<Record<string, number>>>;
}

/** What a plugin contributes at the point `evaluators`. */
export interface EvaluatorContribution<Options = unknown> {
  /** The name by which a config chooses it. */
  readonly kind: string;
  /** Checks its options and describes them. */
  readonly schema: z.ZodType<Options>;
  /** It scores held-out data: a config that names none is refused before anything is opened. */
  readonly needsHeldOut?: boolean;
  /** Options that name files: taken from the config's folder, as all paths of a config are. */
  readonly paths?: readonly string[];
  /** With options that the schema gave. */
  open(options: Options): Evaluator;
  /**
   * All scores that it may give, where they are known before: a config that watches another one is then refused before
   * anything is read.
   */
  scoreNames?(options: Options): readonly string[];
  /**
   * Questions as texts whose log probabilities alone make a score, by which `glulam search` ranks models; absent where
   * there is no such score. `choiceProbeSet` and `answerProbeSet` make one of questions.
   */
  probeSet?(options: Options, context: ProbeContext): ProbeSet | Promise<ProbeSet>;
}

/** Where plugins contribute evaluators. */
export const evaluators = point<EvaluatorContribution>('trainer.evaluators', { schema: 'schema', open: 'function' });
