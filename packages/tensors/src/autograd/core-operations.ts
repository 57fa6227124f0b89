import type { FusedOperations, Fused } from '../contract/fused.js';
import * as compositions from './compositions.js';
import type { NamedOperation } from './named-operation.js';

type Pairs = Omit<FusedOperations, 'embedding' | 'adamW' | 'sumOfSquares'>;

/** Core's own named operations, by their names. */
export const coreOperations: {
  readonly [Name in keyof Pairs]: Pairs[Name] extends Fused<infer Inputs, infer Options>
    ? NamedOperation<Inputs, Options>
    : never;
} = {
  rmsNorm: {
    name: 'rmsNorm',
    compose: (ops, { x, weight }, options) => compositions.rmsNorm(ops, x, weight, options),
  },
  rope: { name: 'rope', compose: (ops, { x }, options) => compositions.rope(ops, x, options) },
  partialRope: { name: 'partialRope', compose: (ops, { x }, options) => compositions.rope(ops, x, options) },
  attention: {
    name: 'attention',
    compose: (ops, { q, k, v }, options) => compositions.attention(ops, q, k, v, options),
  },
  cappedAttention: {
    name: 'cappedAttention',
    compose: (ops, { q, k, v }, options) => compositions.attention(ops, q, k, v, options),
  },
  swiglu: {
    name: 'swiglu',
    compose: (ops, { gate, up }, options) => compositions.swiglu(ops, gate, up, options),
  },
  gegluTanh: {
    name: 'gegluTanh',
    compose: (ops, { gate, up }, options) => compositions.gegluTanh(ops, gate, up, options),
  },
  frozenLinear: { name: 'frozenLinear', compose: compositions.frozenLinear },
  tokenLosses: {
    name: 'tokenLosses',
    compose: (ops, { x }, options) => compositions.tokenLosses(ops, x, options),
  },
  cappedTokenLosses: {
    name: 'cappedTokenLosses',
    compose: (ops, { x }, options) => compositions.tokenLosses(ops, x, options),
  },
};
