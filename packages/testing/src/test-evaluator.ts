import type { EvaluationContext, EvaluatorContribution } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';

export interface EvaluatorCases {
  readonly options: readonly unknown[];
  /** A model with held-out examples; opened for each test. */
  open(): Promise<EvaluationContext & { close(): Promise<void> }>;
}

/** The contract of an evaluator: finite numbers, the same each time, and nothing left behind. */
export function testEvaluator(contribution: EvaluatorContribution, { options, open }: EvaluatorCases): void {
  describe(`evaluator ${contribution.kind}`, () => {
    test.each(options)('%j: scores are finite and repeat; no tensor is left', async (given) => {
      const context = await open();
      const evaluator = contribution.open(contribution.schema.parse(given));
      const before = context.decoder.engine.memory();
      const scores = await evaluator.evaluate(context);
      expect(Object.keys(scores).length).toBeGreaterThan(0);
      for (const [name, score] of Object.entries(scores)) expect(Number.isFinite(score), name).toBe(true);
      expect(await evaluator.evaluate(context)).toEqual(scores);
      expect(context.decoder.engine.memory()).toEqual(before);
      await context.close();
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
