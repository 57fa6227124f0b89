import type { DType } from '@glulam/files';
import type { Engine, FusedOperations } from '@glulam/tensors';
import type { EngineCheck } from './engine-check.js';
import { assertFusedMatches, type FusedCase, type FusedTolerance } from './fused-pass.js';

/**
 * float32 throughout: only the order of sums and the last places of exp differ. Gradients are differences of sums (in
 * softmax and norms), so they lose one digit more.
 */
export const float32: FusedTolerance = { forward: 1e-5, gradient: 1e-4 };
/**
 * An output kept in bfloat16 has 8 significant bits: where two float32 results straddle a tie they round a unit (at most
 * 2^-7 = 0.8 %) apart. A backward pass may round each operand once to bfloat16 (at most 0.4 % an element, uncorrelated).
 */
export const bfloat16: FusedTolerance = { forward: 8e-3, gradient: 1e-2 };
/** As above, but with a float32 output there is no tie to straddle. */
export const wideOutput: FusedTolerance = { forward: 1e-5, gradient: 1e-2 };

/** The types in which this engine's decoder keeps activations, with what each tolerates. */
export function activations(engine: Engine): readonly (readonly [DType, FusedTolerance])[] {
  return engine.precision === 'float32'
    ? [['float32', float32]]
    : [
        ['float32', float32],
        ['bfloat16', bfloat16],
      ];
}

/** A check of one override on cases that depend on the type of the activations. */
export function fusedCheck(
  fused: keyof FusedOperations,
  about: string,
  cases: (type: DType) => readonly FusedCase[],
): EngineCheck {
  return {
    name: `fused ${fused}${about}`,
    fused,
    async run(engine) {
      for (const [type, tolerance] of activations(engine)) {
        for (const example of cases(type)) {
          await assertFusedMatches(engine, { ...example, name: `${example.name}, ${type}` }, tolerance);
        }
      }
    },
  };
}
