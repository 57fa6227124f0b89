import { scoreExamples, type EvaluationContext, type EvaluatorContribution } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { openTinyModel } from '../models/open-tiny-model.js';
import { createSampleRecorder } from '../reporters/sample-recorder.js';

/** What `testEvaluator` tries. */
export interface EvaluatorCases {
  /** Options as a config gives them, without the kind; each is tried by itself. */
  readonly options: readonly unknown[];
  /** A model with held-out examples, opened for each test; default: `openTinyModel`. */
  readonly open?: () => Promise<EvaluationContext & { close(): Promise<void> }>;
}

/**
 * The contract of an evaluator: finite numbers, the same each time, and nothing left behind. Where it tells samples, they
 * say in JSON what was asked and what came of it, and scores do not depend on how many of them an earlier sitting wrote. Where it has questions that log probabilities
 * alone can score (`probeSet`), they are what was asked for, fit into the model and get a finite score.
 */
export function testEvaluator(
  contribution: EvaluatorContribution,
  { options, open = openTinyModel }: EvaluatorCases,
): void {
  describe(`evaluator ${contribution.kind}`, () => {
    test.each(options)('%j: scores are finite and repeat; no tensor is left', async (given) => {
      const context = await open();
      const evaluator = contribution.open(contribution.schema.parse(given));
      const before = context.decoder.engine.memory();
      const scores = await evaluator.evaluate(context);
      expect(Object.keys(scores).length).toBeGreaterThan(0);
      for (const [name, score] of Object.entries(scores)) expect(Number.isFinite(score), name).toBe(true);
      const announced = contribution.scoreNames?.(contribution.schema.parse(given));
      if (announced !== undefined) expect(announced).toEqual(expect.arrayContaining(Object.keys(scores)));
      expect(await evaluator.evaluate(context)).toEqual(scores);
      expect(context.decoder.engine.memory()).toEqual(before);
      await context.close();
    });
    test.each(options)('%j: an interrupted evaluation goes on, and ends with the same scores', async (given) => {
      const context = await open();
      const evaluator = contribution.open(contribution.schema.parse(given));
      const whole = createSampleRecorder();
      const scores = await evaluator.evaluate({ ...context, openSamples: whole.openSamples });
      expect(await evaluator.evaluate(context)).toEqual(scores);
      const samples = [...whole.written].sort((a, b) => a.id - b.id);
      expect(samples.map(({ id }) => id)).toEqual(samples.map((_, id) => id));
      for (const sample of samples) {
        expect(sample.prompt).toEqual(expect.any(String));
        expect(Object.keys(sample.scores).length).toBeGreaterThan(0);
      }
      for (const count of [Math.floor(samples.length / 2), samples.length]) {
        const resumed = createSampleRecorder(samples.slice(0, count));
        expect(await evaluator.evaluate({ ...context, openSamples: resumed.openSamples })).toEqual(scores);
        // What is written again is what was written before.
        for (const sample of resumed.written) expect(sample).toEqual(samples[sample.id]);
        if (count === samples.length) expect(resumed.written).toEqual([]);
      }
      await context.close();
    });
    const scorable = contribution.probeSet === undefined ? [] : options;
    test.each(scorable)('%j: its probe set can be scored', async (given) => {
      const { decoder, tokenizer, heldOut, signal, close } = await open();
      const { maxPositions, vocabularySize } = decoder.spec;
      const context = { tokenizer, heldOut: contribution.needsHeldOut === true ? heldOut : [], signal, maxPositions };
      const probeOf = async (limit: number) =>
        contribution.probeSet!(contribution.schema.parse(given), { ...context, limit });
      const { measure, samples, sequences, score } = await probeOf(2);
      expect(measure).toEqual({
        name: expect.stringMatching(/./) as string,
        unit: expect.stringMatching(/./) as string,
        better: expect.stringMatching(/^(lower|higher)$/) as string,
      });
      expect(samples).toBeGreaterThan(0);
      for (const { ids, trained } of sequences) {
        expect(trained).toHaveLength(ids.length);
        expect(ids.length).toBeLessThanOrEqual(maxPositions);
        expect(ids.every((id) => id >= 0 && id < vocabularySize)).toBe(true);
      }
      expect(sequences.some(({ trained }) => trained.includes(1, 1))).toBe(true);
      const scored = score(await scoreExamples(decoder, sequences, { signal }));
      for (const value of [scored.score, scored.error]) expect(Number.isFinite(value)).toBe(true);
      // The limit is heeded, but for one that the evaluator's options have.
      expect((await probeOf(1)).samples).toBeLessThanOrEqual(samples);
      expect(await probeOf(2)).toMatchObject({ measure, samples, sequences });
      await close();
    });
    test.each(options)('%j: ends when it is aborted', async (given) => {
      const context = await open();
      const evaluator = contribution.open(contribution.schema.parse(given));
      await expect(evaluator.evaluate({ ...context, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
        'enough',
      );
      await context.close();
    });
  });
}
