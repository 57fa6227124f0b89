import type { Sample, SampleLog } from '@glulam/trainer';

/** A log of samples in memory. Each goes through JSON, as in a file. */
export interface SampleRecorder {
  /** What was written, in the order of writing. */
  readonly written: readonly Sample[];
  /** For an evaluator's context. */
  openSamples(): Promise<SampleLog>;
}

/**
 * A recorder for one evaluation.
 *
 * @param recorded what an earlier, interrupted evaluation wrote
 */
export function createSampleRecorder(recorded: readonly Sample[] = []): SampleRecorder {
  const written: Sample[] = [];
  return {
    written,
    openSamples: () =>
      Promise.resolve({
        recall: ({ id }) => recorded.find((sample) => sample.id === id),
        write: (sample: Sample) => void written.push(JSON.parse(JSON.stringify(sample)) as Sample),
      }),
  };
}
