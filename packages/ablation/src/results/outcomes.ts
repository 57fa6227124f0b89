import { readRunEvents, tellStory, type RunConfig, type RunPlan, type RunStory } from '@glulam/trainer';
import { AblationError } from '../errors.js';
import type { Variant } from '../variants.js';
import { bestOf, type Point, type Watch } from './best.js';

/** A variant with what its runs will take. */
export interface PlannedVariant extends Variant {
  /** Parameters, steps and memory, as `glulam plan` gives them. */
  readonly plan: RunPlan;
}

/** What one run of a variant came to. */
export interface RunOutcome {
  /** The run's seed. */
  readonly seed: number;
  /** Training losses by step. */
  readonly losses: readonly Point[];
  /** Scores by step, each by evaluator and name: `loss.loss`. */
  readonly scores: ReadonlyMap<string, readonly Point[]>;
  /** Standard errors over the samples of the last evaluation, by the same names. */
  readonly sampleErrors: ReadonlyMap<string, number>;
  /** By the watched score; undefined where it has no finite value. */
  readonly best: Point | undefined;
  /** The median step's. */
  readonly secondsPerStep: number | undefined;
  /** The most memory of the process, without what its files back. */
  readonly peakBytes: number | undefined;
  /** The engine that it ran on last, as its `run.started` event names it. */
  readonly engine: string;
}

/** What a variant came to with each seed. */
export interface Outcome {
  /** The variant and its plan. */
  readonly variant: PlannedVariant;
  /** Whether the variant has trainable parameters; without them it is only scored. */
  readonly isTrained: boolean;
  /**
   * One per seed, in order. A variant that is not trained runs with the first seed alone, unless the seed chooses the
   * held-out rows.
   */
  readonly runs: readonly RunOutcome[];
}

/**
 * Read what the runs of an ablation recorded.
 *
 * @throws AblationError DATA_CHANGED where not all of them had the same data
 */
export function readOutcomes(
  variants: readonly PlannedVariant[],
  runs: readonly { readonly variant: string; readonly config: RunConfig }[],
  watch: Watch,
): Outcome[] {
  const told = runs.map(({ variant, config }) => {
    const events = readRunEvents(config.out);
    const engine = events.flatMap((event) => (event.type === 'run.started' ? [event.engine] : [])).at(-1)!;
    return { variant, config, engine, story: tellStory(events) };
  });
  checkSameData(told);
  return variants.map((variant) => ({
    variant,
    isTrained: variant.plan.parameters.trainable > 0,
    runs: told
      .filter((each) => each.variant === variant.name)
      .map(({ config, engine, story }) => outcomeOf(config.seed, engine, story, watch)),
  }));
}

function outcomeOf(seed: number, engine: string, story: RunStory, watch: Watch): RunOutcome {
  const scores = new Map<string, Point[]>();
  const sampleErrors = new Map<string, number>();
  for (const { step, evaluator, scores: given } of story.evaluations) {
    for (const [name, value] of Object.entries(given)) {
      const key = `${evaluator}.${name}`;
      if (name.endsWith('_stderr')) sampleErrors.set(key.slice(0, -'_stderr'.length), value);
      else scores.set(key, [...(scores.get(key) ?? []), { step, value }]);
    }
  }
  return {
    seed,
    engine,
    losses: story.steps.map(({ step, loss }) => ({ step, value: loss })),
    scores,
    sampleErrors,
    best: bestOf(scores.get(`${watch.evaluator}.${watch.score}`) ?? [], watch.better),
    secondsPerStep: median(story.steps.map(({ tokens, tokensPerSecond }) => tokens / tokensPerSecond)),
    peakBytes: story.peakBytes,
  };
}

/** Runs of one seed must have read the same; with another seed other rows may be held out. */
function checkSameData(
  runs: readonly { readonly variant: string; readonly config: RunConfig; readonly story: RunStory }[],
): void {
  const contentOf = ({ data }: RunStory): string =>
    JSON.stringify(data.map(({ use, file, examples, tokens }) => ({ use, file, examples, tokens })));
  for (const { variant, config, story } of runs) {
    const first = runs.find((each) => each.config.seed === config.seed)!;
    if (contentOf(first.story) === contentOf(story)) continue;
    throw new AblationError(
      'DATA_CHANGED',
      `the data changed between the runs of "${first.variant}" and "${variant}" with seed ${config.seed}, so that they cannot be compared:\n` +
        `  ${contentOf(first.story)}\n  ${contentOf(story)}\nBring the files back and remove ${config.out}, or begin again with --out.`,
    );
  }
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? sorted[middle]
    : sorted.length === 0
      ? undefined
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
