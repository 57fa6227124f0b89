import { generateMany, type GenerationRequest } from '@glulam/model';
import type { EvaluationContext } from '../evaluator.js';
import type { Sample } from './sample.js';

/** A question that is answered by a text. */
export interface TextQuestion {
  /** The text to continue. */
  readonly prompt: string;
  /** What would be right, for people; `grade` decides. */
  readonly expected: unknown;
  /** What a text is worth, a number for each score, and what was found in it. */
  grade(text: string): Pick<Sample, 'scores' | 'found'>;
}

/** Options of `generateAnswers`. */
export interface GenerateAnswersOptions {
  /** The names of the scores. */
  readonly scores: readonly string[];
  /** Tokens of an answer, at most. */
  readonly maxNewTokens: number;
  /** Strings that end a text and are not part of it. */
  readonly stop: readonly string[];
  /** Questions at a time: more take less time, and memory for their keys and values. */
  readonly batch: number;
}

/**
 * Questions are generated in groups of so many batches. What is in a batch moves the last digits of logits and so, rarely,
 * a token: an evaluation that goes on repeats the group it was cut in, whose batches are then those it would have had.
 */
const batchesPerGroup = 4;

/**
 * Answer questions greedily. Each is kept in the context's log as it is answered; one that is too long for the model,
 * with room for an answer, is not asked and scores 0.
 */
export async function generateAnswers(
  context: EvaluationContext,
  questions: readonly TextQuestion[],
  { scores, maxNewTokens, stop, batch }: GenerateAnswersOptions,
): Promise<Sample[]> {
  const { decoder, tokenizer, signal } = context;
  const log = await context.openSamples?.();
  const samples: Sample[] = [];
  const size = batch * batchesPerGroup;
  for (let first = 0; first < questions.length; first += size) {
    signal.throwIfAborted();
    const group = questions
      .slice(first, first + size)
      .map(({ prompt, expected, grade }, i) => ({ asked: { id: first + i, prompt, expected }, grade }));
    const known = group.flatMap(({ asked }) => log?.recall(asked) ?? []);
    if (known.length === group.length) {
      samples.push(...known);
      continue;
    }
    const requests: (GenerationRequest & { readonly of: (typeof group)[number] })[] = [];
    const keep = (sample: Sample): void => {
      samples.push(sample);
      log?.write(sample);
      context.onProgress?.(samples.length, questions.length);
    };
    for (const of of group) {
      const prompt = tokenizer.encode(of.asked.prompt);
      if (prompt.length + maxNewTokens <= decoder.spec.maxPositions) requests.push({ prompt, of });
      else keep({ ...of.asked, scores: Object.fromEntries(scores.map((name) => [name, 0])) });
    }
    const answers = generateMany(decoder, tokenizer, requests, { maxNewTokens, stop, slots: batch, signal });
    for await (const { index, text } of answers) {
      const { asked, grade } = requests[index]!.of;
      keep({ ...asked, output: text, ...grade(text) });
    }
  }
  return samples.sort((a, b) => a.id - b.id);
}
