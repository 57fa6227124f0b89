import { uniforms, type RandomKey } from '@glulam/tensors';
import type { Adapter, AdapterForm, AdapterParameter, LlamaLinear, SiteAdapter } from '../src/index.js';

const rank = 2;
export const lowRankScale = 1.5;
export const dropoutRate = 0.4;

/** What the adapter has at each linear layer: between them all that a form may hold, and `apply`. */
export const memberNames: Readonly<Record<LlamaLinear, readonly string[]>> = {
  'self_attn.q_proj': ['A', 'B'],
  'self_attn.k_proj': ['outScale', 'biasScale'],
  'self_attn.v_proj': ['added'],
  'self_attn.o_proj': ['magnitude'],
  'mlp.gate_proj': ['inScale', 'outScale', 'A', 'B', 'added'],
  'mlp.up_proj': [],
  'mlp.down_proj': ['A', 'B', 'biasScale', 'added'],
};
/** The low-rank path here drops some of its input in training. */
const dropping: LlamaLinear = 'mlp.down_proj';

/** An adapter from the contract alone. `o_proj` has no form: its output times a magnitude, added to the plain one. */
export const tinyAdapter: Adapter = {
  kind: 'tiny',
  at({ linear, inFeatures, outFeatures }): SiteAdapter | undefined {
    const members = memberNames[linear as LlamaLinear];
    if (members.length === 0) return undefined;
    const shapes: Record<string, readonly number[]> = {
      ...{ A: [rank, inFeatures], B: [outFeatures, rank], inScale: [inFeatures] },
      ...{ outScale: [outFeatures], biasScale: [outFeatures], added: [outFeatures], magnitude: [outFeatures] },
    };
    const parameters = members.map((name): AdapterParameter => {
      const shape = shapes[name]!;
      const size = shape.reduce((product, length) => product * length);
      return { name, shape, initial: ({ key }) => uniforms(size, key) };
    });
    if (linear === 'self_attn.o_proj')
      return {
        parameters,
        form: () => ({}),
        apply: (x, { magnitude }, { ops, linear: plain }) => {
          const y = plain(x, {});
          return ops.add(y, ops.mul(y, magnitude!));
        },
      };
    return {
      parameters,
      form({ A, B, added, ...scales }, { training, key }): AdapterForm {
        const dropout = training && linear === dropping ? { rate: dropoutRate, key } : undefined;
        return { ...scales, bias: added, lowRank: A && B && { A, B, scale: lowRankScale, dropout } };
      },
    };
  },
  peftConfig: () => ({}),
};

/** 1 / (1 - rate) where an input of the low-rank path stays, else 0; 1 where nothing is dropped. */
export function keepFactors(size: number, linear: string, key: RandomKey | undefined): number[] {
  if (key === undefined || linear !== dropping) return new Array<number>(size).fill(1);
  return [...uniforms(size, key)].map((value) => (value >= Math.fround(dropoutRate) ? 1 / (1 - dropoutRate) : 0));
}
