import type { FusedOperations, Fused } from '../contract/fused.js';
import * as compositions from './compositions.js';
import type { NamedOperation } from './named-operation.js';

type Pairs = Pick<FusedOperations, 'rmsNorm' | 'rope' | 'attention' | 'swiglu' | 'frozenLinear' | 'tokenLosses'>;

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
  attention: {
    name: 'attention',
    compose: (ops, { q, k, v }, options) => compositions.attention(ops, q, k, v, options),
  },
  swiglu: {
    name: 'swiglu',
    compose: (ops, { gate, up }, options) => compositions.swiglu(ops, gate, up, options),
  },
  frozenLinear: { name: 'frozenLinear', compose: compositions.frozenLinear },
  tokenLosses: {
    name: 'tokenLosses',
    compose: (ops, { x }, options) => compositions.tokenLosses(ops, x, options),
  },
};
