/** One question of an evaluation: what the model was given, what it gave, and what that is worth. JSON says all of it. */
export interface Sample {
  /** Its number in the evaluation, from 0. */
  readonly id: number;
  /** The text that the model was given. */
  readonly prompt: string;
  /** What there was to choose from, each as it follows the prompt. */
  readonly choices?: readonly string[];
  /** What would be right, in the evaluator's own words. */
  readonly expected: unknown;
  /**
   * The text that was generated, or the log probability of each choice. Absent where the model was not asked, because
   * the question is longer than it reads: all scores are 0.
   */
  readonly output?: string | readonly number[];
  /** Of a text, by the scores' names: what was taken for the answer; null: nothing was. */
  readonly found?: Readonly<Record<string, string | null>>;
  /** By name. */
  readonly scores: Readonly<Record<string, number>>;
}

/** What decides whether a sample answers a question. */
export type AskedSample = Pick<Sample, 'id' | 'prompt' | 'choices' | 'expected'>;

/** Where an evaluation's samples are written down, and found again when it was cut. */
export interface SampleLog {
  /** What an earlier sitting of the same evaluation, on the same model, wrote of a question. */
  recall(asked: AskedSample): Sample | undefined;
  /** Keep a sample at once. One that is there already and the same is not written twice. */
  write(sample: Sample): void;
}
