import type { Composition } from '@glulam/plugin';
import { choose, configError, evaluators, type ProbeContext, type ProbeSet, type RunConfig } from '@glulam/trainer';
import { AblationError } from '../errors.js';

/** The evaluator that maps are scored by. */
interface ProbeChoice {
  readonly kind: string;
  readonly needsHeldOut: boolean;
  open(context: ProbeContext): Promise<ProbeSet>;
}

/**
 * The evaluator that `search.score` chooses.
 *
 * @throws TrainerError CONFIG_INVALID; AblationError SEARCH_INVALID if its questions cannot be scored by log probabilities
 */
export function chooseProbe(
  score: { readonly kind: string; readonly [option: string]: unknown },
  { data }: RunConfig,
  composition: Composition,
): ProbeChoice {
  const { contribution, options } = choose(composition, evaluators, 'search.score', score);
  const { kind, needsHeldOut = false } = contribution;
  if (contribution.probeSet === undefined) {
    const able = composition.all(evaluators).filter(({ probeSet }) => probeSet !== undefined);
    throw new AblationError(
      'SEARCH_INVALID',
      `search.score is the evaluator "${kind}", which has no questions that log probabilities alone can score (probeSet); ` +
        `expected one that has: ${able.map((each) => each.kind).join(', ')}`,
    );
  }
  if (needsHeldOut && data.heldOut === undefined)
    throw configError([
      `search.score: "${kind}" scores maps by held-out data, and there is none: name a file as data.heldOut, or choose another evaluator as search.score`,
    ]);
  return {
    kind,
    needsHeldOut,
    async open(context) {
      const probe = await contribution.probeSet!(options, context);
      checkProbe(kind, probe);
      return probe;
    },
  };
}

function checkProbe(kind: string, { samples, sequences }: ProbeSet): void {
  // The first token of a sequence is predicted by nothing.
  if (sequences.some(({ trained }) => trained.subarray(1).includes(1))) return;
  throw new AblationError(
    'SEARCH_INVALID',
    `the probe, ${samples} samples of the evaluator "${kind}", has no token to predict; give it other data, or raise search.limit`,
  );
}
