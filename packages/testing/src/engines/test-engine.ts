import type { Engine, Precision } from '@glulam/tensors';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { arithmeticChecks } from './engine-checks-arithmetic.js';
import { errorChecks, weightChecks } from './engine-checks-errors.js';
import { formatChecks } from './engine-checks-formats.js';
import { fusedChecks } from './engine-checks-fused.js';
import { storageChecks } from './engine-checks-storage.js';
import { runEngineCheck, type EngineCheck } from './engine-check.js';

/** Everything that the Engine contract promises, check by check. */
export const engineChecks: readonly EngineCheck[] = [
  ...storageChecks,
  ...arithmeticChecks,
  ...weightChecks,
  ...errorChecks,
  ...fusedChecks,
  ...formatChecks,
];

/** What `testEngine` needs to know of an engine. */
export interface TestEngineOptions {
  /** Those that the engine can be opened with; both unless said. */
  readonly precisions?: readonly Precision[];
}

/**
 * The contract suite of an engine, as vitest tests: every required operation against the reference engine, storage,
 * scopes and errors, and each fused override against its composition on the same engine, forward and backward. After
 * every test the engine holds as many tensors and bytes as before.
 */
export function testEngine(
  name: string,
  open: (precision: Precision) => Promise<Engine>,
  { precisions = ['float32', 'bfloat16'] }: TestEngineOptions = {},
): void {
  describe.each(precisions)(`engine ${name}, %s`, (precision) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open(precision);
    });
    afterAll(async () => {
      await engine.close();
    });
    for (const check of engineChecks) {
      it(check.name, async ({ skip }) => {
        if (check.fused !== undefined && engine.fused[check.fused] === undefined) {
          skip(`no override of ${check.fused}: its composition runs`);
        }
        if (!check.breaks) return runEngineCheck(check, engine);
        const ownEngine = await open(precision);
        await runEngineCheck(check, ownEngine);
        // A failed engine may reject once more; it is the check that judges how it failed.
        await ownEngine.close().catch(() => undefined);
      });
    }
  });
}
