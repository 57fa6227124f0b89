import type { Tensor } from '@glulam/tensors';
import { ModelError } from '../errors.js';
import type { AttentionSpec, BlockSpec, MlpSpec } from '../families/model-spec.js';
import type { Family } from '../families/family.js';
import type { Block, BlockContext } from './block.js';

const attention: Block<AttentionSpec> = (x, spec, context) => {
  const { heads, keyValueHeads, headSize, scale, softCap, window } = spec;
  const { ops } = context;
  const type = ops.activation;
  const [q, k, v] = context.hasLinear('queryKeyValue')
    ? columns(context, context.linear(x, 'queryKeyValue', type), [heads, keyValueHeads, keyValueHeads], headSize)
    : (['query', 'key', 'value'].map((role) => () => context.linear(x, role, type)) as unknown as Thunks);
  const turned = (x: Tensor, role: 'query' | 'key'): Tensor =>
    context.rotate(context.hasNorm(role) ? context.normalize(x, role) : x, headSize);
  const [turnedQ, turnedK] = [turned(q(), 'query'), turned(k(), 'key')];
  const { segments, ...seen } = context.keysAndValues(turnedK, v());
  const mixed = ops.attention(turnedQ, seen.k, seen.v, {
    heads,
    keyValueHeads,
    headSize,
    window,
    scale,
    softCap,
    segments,
    type,
  });
  return context.linear(mixed, 'output', 'float32');
};

const mlp: Block<MlpSpec> = (x, { intermediateSize, activation = 'silu' }, context) => {
  const { ops } = context;
  const type = ops.activation;
  const [gate, up] = context.hasLinear('gateUp')
    ? columns(context, context.linear(x, 'gateUp', type), [1, 1], intermediateSize)
    : (['gate', 'up'].map((role) => () => context.linear(x, role, type)) as unknown as Thunks);
  const activated = activation === 'silu' ? ops.swiglu : ops.gegluTanh;
  return context.linear(activated(gate(), up(), { type }), 'down', 'float32');
};

/** Each is computed when it is called, so that keys and values do not wait in memory for queries. */
type Thunks = readonly [() => Tensor, () => Tensor, () => Tensor];

/** The parts of a fused linear layer's output: part i has `counts[i] * size` columns. */
function columns({ ops }: BlockContext, fused: Tensor, counts: readonly number[], size: number): Thunks {
  let start = 0;
  return counts.map((count) => {
    const from = start;
    start += count * size;
    return () => ops.slice(fused, [0, from], [fused.shape[0]!, count * size]);
  }) as unknown as Thunks;
}

const ofCore: Readonly<Record<string, Block>> = { attention: attention as Block, mlp: mlp as Block };

/**
 * The function that runs a block: core's, or the family's own.
 *
 * @throws ModelError CONFIG_INVALID if there is none of this kind
 */
export function blockOf({ kind }: BlockSpec, family: Family): Block {
  const own = family.blocks ?? {};
  const taken = Object.keys(own).find((name) => Object.hasOwn(ofCore, name));
  if (taken !== undefined)
    throw new ModelError(
      'CONFIG_INVALID',
      `the family ${family.kind} contributes a block of the kind "${taken}", which is core's; give yours another name`,
    );
  const blocks = { ...ofCore, ...own };
  const block = Object.hasOwn(blocks, kind) ? blocks[kind] : undefined;
  if (block !== undefined) return block;
  throw new ModelError(
    'CONFIG_INVALID',
    `the family ${family.kind} describes a block of the kind "${kind}", and there is none; known: ${Object.keys(blocks).join(', ')}. ` +
      'A family contributes blocks of its own as `blocks`',
  );
}
