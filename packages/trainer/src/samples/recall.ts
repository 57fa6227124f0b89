import { TrainerError } from '../errors.js';
import type { Sample, SampleLog } from './sample.js';

/**
 * What an earlier sitting wrote of a question. Data that changed since would leave scores of both in one evaluation.
 *
 * @throws TrainerError SAMPLES_UNUSABLE where it was asked otherwise
 */
export function recall(
  log: SampleLog | undefined,
  asked: Pick<Sample, 'id' | 'prompt' | 'choices' | 'expected'>,
): Sample | undefined {
  const sample = log?.recorded.get(asked.id);
  if (sample === undefined) return undefined;
  for (const key of ['prompt', 'choices', 'expected'] as const) {
    const [before, now] = [sample[key], asked[key]].map((value) => JSON.stringify(value));
    if (before === now) continue;
    throw new TrainerError(
      'SAMPLES_UNUSABLE',
      `sample ${asked.id} was written with another ${key} (${before}; now ${now}): the evaluator's data changed since; remove the file of samples, or name another place for them`,
    );
  }
  return sample;
}
