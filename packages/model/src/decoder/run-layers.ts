import { pace, scope, Tensor, type Operations } from '@glulam/tensors';
import { ModelError } from '../errors.js';
import type { BlockSpec, ModelSpec } from '../families/model-spec.js';
import type { BaseWeights } from '../weights/base-weights.js';
import type { ModelWeights } from '../weights/model-weights.js';
import type { TokenBatch } from './batch.js';
import type { BlockContext } from './block.js';
import type { Decoder, LayerRange, PassOptions } from './decoder.js';
import type { Layer } from './layer.js';
import { openRopes, type PassRopes } from './rope.js';
import { runLinear } from './run-linear.js';

/** A decoder's parts, made and open. */
interface DecoderParts {
  readonly ops: Operations;
  readonly spec: ModelSpec;
  readonly layers: readonly Layer[];
  readonly base: ModelWeights;
  /** Frozen weights as adapters may know them. */
  readonly rows: BaseWeights['rows'];
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** A tensor of the base that the model trains itself, if it does. */
  readonly trainsCopy: string | undefined;
}

/** The forward passes of a decoder. */
export function createPasses(
  parts: DecoderParts,
): Pick<Decoder, 'forward' | 'forwardPart' | 'layerPass' | 'losses' | 'logits'> {
  const { ops, spec, layers, base, parameters, trainsCopy } = parts;
  const { engine } = ops;
  const ropes = openRopes(engine, spec);
  const type = ops.activation;

  /** One virtual layer: x [tokens, hidden] to the same; synchronous, so that it can be computed again in backward. */
  const runLayer = (x: Tensor, virtual: number, batch: TokenBatch, rope: PassRopes, pass: PassOptions): Tensor => {
    const { record, blocks, gate } = layers[virtual]!;
    const { cache } = pass;
    // A gate of 0 adds nothing; what is returned is a tensor of its own.
    if (gate !== undefined && pass.reference === true) return ops.affine(x, 1, 0);
    let residual = x;
    for (const { spec: block, run, norm, linears, vectors } of blocks) {
      const context: BlockContext = {
        ops,
        linear: (input, role, output) =>
          runLinear(parts, input, withRole(block, 'linear layer', linears, role), virtual, output, pass),
        hasLinear: (role) => linears.has(role),
        vector: (role) => withRole(block, 'vector', vectors, role),
        rotate: (heads, headSize) =>
          block.rope === undefined ? heads : ops.rope(heads, { ...rope.of(block.rope), headSize, type }),
        keysAndValues(k, v) {
          if (block.keyValueWidth === undefined)
            throw new ModelError(
              'BAD_ARGUMENT',
              `the block ${block.kind} keeps keys and values, and its spec has no keyValueWidth; expected the elements of a token's keys`,
            );
          return cache === undefined ? seenBy(batch, k, v) : cache.append(virtual, k, v, batch.segments);
        },
      };
      const normed = ops.rmsNorm(residual, norm, { epsilon: block.norm.epsilon, type });
      const output = run(normed, block, context);
      const scaled = record.residualScale === undefined ? output : ops.affine(output, record.residualScale, 0);
      residual = ops.add(residual, gate === undefined ? scaled : ops.mul(scaled, gate));
    }
    return residual;
  };

  const seenBy = ({ segments, keyRows }: TokenBatch, k: Tensor, v: Tensor) => {
    if (keyRows === undefined) return { k, v, segments };
    const rows = engine.upload(keyRows, [keyRows.length]);
    const [keys, values] = [k, v].map((each) => ops.cast(ops.gather(ops.cast(each, 'float32'), rows), each.dtype));
    return { k: keys!, v: values!, segments };
  };

  const finish = (x: Tensor): Tensor => ops.rmsNorm(x, base.finalNorm, { epsilon: spec.finalNorm.epsilon, type });

  const runLayers = async (batch: TokenBatch, part: LayerRange, pass: PassOptions = {}): Promise<Tensor> => {
    checkPart(part, batch, layers.length, spec.hiddenSize);
    const { tape, recompute = false, cache, forms } = pass;
    if (forms !== undefined && (tape !== undefined || pass.training !== undefined))
      throw new ModelError(
        'BAD_ARGUMENT',
        'the pass trains, and prepared forms are of a model that nothing trains; expected one or the other',
      );
    if (cache !== undefined && batch.keyRows !== undefined)
      throw new ModelError(
        'BAD_ARGUMENT',
        'the batch shares tokens between segments (keyRows), and a cache keeps a run of tokens a sequence; expected one or the other: fork the cache',
      );
    if (pass.reference === true && trainsCopy !== undefined)
      throw new ModelError(
        'BAD_ARGUMENT',
        `the model trains ${trainsCopy} itself, so it has no reference in memory; expected adapters and gates alone`,
      );
    const rope = ropes(batch.positions);
    const recorded = <T>(body: () => T): T => (tape === undefined ? body() : ops.recording(tape, body));
    if (tape !== undefined) for (const parameter of parameters.values()) tape.watch(parameter);
    let x: Tensor;
    try {
      x = part.hidden?.retain() ?? recorded(() => ops.embedding(base.embedding, batch.ids, spec.embedding.paddingRow));
    } catch (error) {
      rope.release();
      throw error;
    }
    const next = (body: (x: Tensor) => Tensor): void => {
      const y = scope(() => recorded(() => body(x)));
      x.release();
      x = y;
    };
    // Single tokens are quick; of a long prompt a layer may take a second.
    const pieces = pace(engine, batch.ids.length < 64 ? Infinity : 1);
    try {
      for (let virtual = part.start; virtual < part.end; virtual++) {
        const body = (input: Tensor): Tensor => runLayer(input, virtual, batch, rope, pass);
        next((input) =>
          recompute && tape !== undefined ? ops.recomputed(input, layers[virtual]!.parameters, body) : body(input),
        );
        tape?.mark();
        await pieces.next();
        pass.signal?.throwIfAborted();
        await pass.onLayer?.(virtual, x);
      }
      cache?.advance(batch.segments);
      if (part.end === layers.length) next(finish);
      await pieces.end();
      return x;
    } catch (error) {
      if (!x.disposed) x.release();
      throw error;
    } finally {
      // Recomputation reads the tables again: the tape holds them until it has gone back.
      tape?.keep(...rope.tensors);
      rope.release();
    }
  };
  return {
    forward: (batch, pass) => runLayers(batch, { start: 0, end: layers.length }, pass),
    forwardPart: runLayers,

    layerPass(batch) {
      const rope = ropes(batch.positions);
      return {
        embed: () => ops.embedding(base.embedding, batch.ids),
        async layer(hidden, virtual) {
          const output = scope(() => runLayer(hidden, virtual, batch, rope, {}));
          await engine.drain();
          return output;
        },
        finish: (hidden) => scope(() => finish(hidden)),
        close: () => rope.release(),
      };
    },

    losses: (hidden, labels, tape) => {
      const body = (): Tensor => ops.tokenLosses(hidden, { weight: base.head, labels });
      return tape === undefined ? body() : ops.recording(tape, body);
    },

    logits: (hidden, rows) =>
      scope(() => {
        const parts = rows.map((row) => ops.cast(engine.slice(hidden, [row, 0], [1, spec.hiddenSize]), 'float32'));
        const inputs = parts.length === 1 ? parts[0]! : engine.concatenate(parts, 0);
        const { head } = base;
        if (head instanceof Tensor) return ops.linear(inputs, head, undefined, 'float32');
        return ops.frozenLinear(inputs, head, {}, 'float32');
      }),
  };
}

/** A part of the model's layers, and hidden states for it where it does not begin with the embedding. */
function checkPart({ start, end, hidden }: LayerRange, { ids }: TokenBatch, count: number, hiddenSize: number): void {
  const isPart = Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= count;
  const fits = hidden === undefined ? start === 0 : hidden.shape[0] === ids.length && hidden.shape[1] === hiddenSize;
  if (isPart && fits) return;
  const given = hidden === undefined ? 'no hidden states' : `hidden states [${hidden.shape.join(', ')}]`;
  throw new ModelError(
    'BAD_ARGUMENT',
    `got the layers [${start}, ${end}) of ${count} and ${given} for ${ids.length} tokens; expected a range of layers, and hidden states [${ids.length}, ${hiddenSize}] unless it begins with the embedding, before layer 0`,
  );
}
/** What a block asks for by its role. */
function withRole<T>(block: BlockSpec, what: string, all: ReadonlyMap<string, T>, role: string): T {
  const found = all.get(role);
  if (found !== undefined) return found;
  throw new ModelError(
    'BAD_ARGUMENT',
    `the block ${block.kind} asks for the ${what} "${role}"; its spec has ${[...all.keys()].join(', ') || 'none'}`,
  );
}
