import type { FusedOperations } from '@glulam/tensors';
import type { Device } from '../device.js';
import { attention } from './attention.js';
import { frozenLinear } from './frozen-linear.js';
import { adamW, sumOfSquares } from './optimizer.js';
import { rmsNorm, rope, swiglu } from './pointwise.js';
import { embedding, tokenLosses } from './vocabulary.js';

/** Every named operation, as a few commands each. */
export function createFused(device: Device): FusedOperations {
  return {
    rmsNorm: rmsNorm(device),
    rope: rope(device),
    attention: attention(device),
    swiglu: swiglu(device),
    frozenLinear: frozenLinear(device),
    tokenLosses: tokenLosses(device),
    embedding: embedding(device),
    adamW: adamW(device),
    sumOfSquares: sumOfSquares(device),
  };
}
