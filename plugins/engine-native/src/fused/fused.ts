import type { Engine, EngineShell, FusedOperations } from '@glulam/tensors';
import type { Commander } from '../kernels.js';
import { attention } from './attention.js';
import { createFusedCommands } from './commands.js';
import { frozenLinear } from './frozen-linear.js';
import { adamW, sumOfSquares } from './optimizer.js';
import { gated, rmsNorm, rope } from './pointwise.js';
import { embedding, tokenLosses } from './vocabulary.js';

/** Every named operation, as a few commands each. */
export function createFused<Data>(
  commander: Commander<Data>,
  shell: EngineShell<Data>,
  engine: Engine,
): FusedOperations {
  const commands = createFusedCommands(commander, shell, engine);
  return {
    rmsNorm: rmsNorm(commands),
    rope: rope(commands),
    partialRope: rope(commands),
    attention: attention(commands),
    cappedAttention: attention(commands),
    swiglu: gated(commands, 'swiglu'),
    gegluTanh: gated(commands, 'gegluTanh'),
    frozenLinear: frozenLinear(commands),
    tokenLosses: tokenLosses(commands),
    cappedTokenLosses: tokenLosses(commands),
    embedding: embedding(commands),
    adamW: adamW(commands),
    sumOfSquares: sumOfSquares(commands),
  };
}
