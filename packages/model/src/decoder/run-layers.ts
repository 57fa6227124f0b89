import type { DType } from '@glulam/files';
import { pace, scope, Tensor, type Operations } from '@glulam/tensors';
import { ModelError } from '../errors.js';
import {
  checkRoute,
  gradientReaches,
  mixesOf,
  mixParameterName,
  visitsOf,
  type Mix,
  type Route,
} from '../expansion/route.js';
import type { BlockSpec, ModelSpec } from '../families/model-spec.js';
import type { BaseWeights } from '../weights/base-weights.js';
import type { ModelWeights } from '../weights/model-weights.js';
import type { TokenBatch } from './batch.js';
import type { BlockContext } from './block.js';
import type { Decoder, PassOptions, RoutePart } from './decoder.js';
import type { Layer, Norm } from './layer.js';
import type { CachePass } from './key-value-cache.js';
import { openRopes, type PassRopes } from './rope.js';
import { runLinear } from './run-linear.js';

/** A decoder's parts, made and open. */
interface DecoderParts {
  readonly ops: Operations;
  readonly spec: ModelSpec;
  readonly layers: readonly Layer[];
  readonly route: Route;
  readonly base: ModelWeights;
  /** Frozen weights as adapters may know them. */
  readonly rows: BaseWeights['rows'];
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Those of them that belong to mixes. */
  readonly mixParameters: ReadonlyMap<string, Tensor>;
  /** What rows of the embedding are multiplied with. */
  readonly embeddingScale: number;
  /** A tensor of the base that the model trains itself, if it does. */
  readonly trainsCopy: string | undefined;
}

/** The forward passes of a decoder. */
export function createPasses(
  parts: DecoderParts,
): Pick<Decoder, 'forward' | 'forwardPart' | 'layerPass' | 'losses' | 'logits'> {
  const { ops, spec, layers, base, parameters, mixParameters, trainsCopy } = parts;
  const { engine } = ops;
  const known = mixesOf(parts.route);
  const checked = new WeakSet<Route>([parts.route]);
  const routeOf = ({ route = parts.route, reference = false }: PassOptions): Route => {
    if (!checked.has(route)) checked.add(checkRoute(route, layers.length, known));
    const [mix] = reference ? mixesOf(route) : [];
    if (mix === undefined) return route;
    throw new ModelError(
      'BAD_ARGUMENT',
      `the route has the mix ${mix.path}, and the reference is the virtual layers alone; expected a route without mixes`,
    );
  };
  const ropes = openRopes(engine, spec);
  const type = ops.activation;

  /** A visit to a virtual layer: x [tokens, hidden] to the same; synchronous, so that it can be computed again in backward. */
  const runVisit = (x: Tensor, at: Visit, batch: TokenBatch, rope: PassRopes, pass: PassOptions): Tensor => {
    const { record, blocks, gate } = layers[at.layer]!;
    const { cache } = pass;
    // A gate of 0 adds nothing; what is returned is a tensor of its own.
    if (gate !== undefined && pass.reference === true) return ops.affine(x, 1, 0);
    let residual = x;
    for (const { spec: block, run, norm, outputNorm, innerNorms, linears, vectors } of blocks) {
      const context: BlockContext = {
        ops,
        linear: (input, role, output) =>
          runLinear(parts, input, withRole(block, 'linear layer', linears, role), at, output, pass),
        hasLinear: (role) => linears.has(role),
        hasNorm: (role) => innerNorms.has(role),
        normalize(x, role) {
          const inner = withRole(block, 'norm', innerNorms, role);
          const [{ size }, { shape }] = [inner.weight.tensor, x];
          const rows = size === shape[1] ? x : ops.reshape(x, [x.size / size, size]);
          const normed = normalize(rows, inner, x.dtype);
          return rows === x ? normed : ops.reshape(normed, shape);
        },
        vector: (role) => withRole(block, 'vector', vectors, role),
        rotate(heads, headSize) {
          if (block.rope === undefined) return heads;
          const { cos, sin } = rope.of(block.rope);
          return ops.rope(heads, { cos, sin, headSize, type });
        },
        keysAndValues(k, v) {
          if (block.keyValueWidth === undefined)
            throw new ModelError(
              'BAD_ARGUMENT',
              `the block ${block.kind} keeps keys and values, and its spec has no keyValueWidth; expected the elements of a token's keys`,
            );
          return cache === undefined ? seenBy(batch, k, v) : cache.append(at.visit, k, v, batch.segments);
        },
      };
      const input = norm === undefined ? ops.cast(residual, type) : normalize(residual, norm, type);
      const output = run(input, block, context);
      const normed = outputNorm === undefined ? output : normalize(output, outputNorm, 'float32');
      const factor = (record.residualScale ?? 1) * (block.outputScale ?? 1);
      const scaled = factor === 1 ? normed : ops.affine(normed, factor, 0);
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

  const normalize = (x: Tensor, { spec: { epsilon }, weight: { tensor, offset } }: Norm, type: DType): Tensor =>
    ops.rmsNorm(x, offset === 0 ? tensor : ops.affine(tensor, 1, offset), { epsilon, type });
  const { inputScale = 1, softCap } = spec.head;
  const finish = (x: Tensor): Tensor => {
    const normed = normalize(x, { spec: spec.finalNorm, weight: base.finalNorm }, type);
    // As float32: a factor would be one more rounding.
    return inputScale === 1 ? normed : ops.affine(ops.cast(normed, 'float32'), inputScale, 0);
  };
  const embed = (ids: Int32Array, paddingRow?: number): Tensor =>
    scope(() => {
      const rows = ops.embedding(base.embedding, ids, paddingRow);
      return parts.embeddingScale === 1 ? rows : ops.affine(rows, parts.embeddingScale, 0);
    });

  const parametersOf = (mix: Mix): Tensor[] =>
    (mix.parameters ?? []).map((each) => mixParameters.get(mixParameterName(mix, each))!);
  const runMix = (x: Tensor, mix: Mix, states: ReadonlyMap<string, Tensor>): Tensor =>
    mix.run(x, {
      ops,
      parameter: (name) => ofMix(mix, 'trained tensor', mixParameters, mixParameterName(mix, { name })),
      kept: (name) => ofMix(mix, 'kept state', mix.reads?.includes(name) === true ? states : new Map(), name),
    });

  const runSteps = async (batch: TokenBatch, part: RoutePart, pass: PassOptions = {}): Promise<Tensor> => {
    const route = routeOf(pass);
    checkPart(part, batch, route.length, spec.hiddenSize);
    const { tape, recompute = false, cache, forms } = pass;
    if (forms !== undefined && (tape !== undefined || pass.training !== undefined))
      throw new ModelError(
        'BAD_ARGUMENT',
        'the pass trains, and prepared forms are of a model that nothing trains; expected one or the other',
      );
    if (cache !== undefined) checkCache(cache, route);
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
    if (tape !== undefined) for (const parameter of parameters.values()) tape.watch(parameter);
    // What no gradient reaches is not recorded: it takes neither memory nor time in backward.
    const reached = tape === undefined ? [] : gradientReaches(route);
    const recorded = <T>(isReached: boolean, body: () => T): T =>
      tape === undefined || !isReached ? body() : ops.recording(tape, body);
    const rope = ropes(batch);
    /** States by name, held. */
    const states = new Map<string, Tensor>();
    const keep = (name: string, state: Tensor): void => {
      const before = states.get(name);
      states.set(name, state.retain());
      before?.release();
    };
    let x: Tensor | undefined;
    const next = (isReached: boolean, body: (x: Tensor) => Tensor): void => {
      const before = x!;
      x = scope(() => recorded(isReached, () => body(before)));
      before.release();
    };
    // A few tokens are quick, and who reads what comes of them waits for the engine; of a long prompt a layer may take a second.
    const isShort = batch.ids.length < 64;
    const pieces = pace(engine, isShort ? Infinity : 1);
    try {
      for (const [name, state] of part.kept ?? []) keep(name, state);
      x = part.hidden?.retain() ?? recorded(reached[0] === true, () => embed(batch.ids, spec.embedding.paddingRow));
      let visit = visitsOf(route.slice(0, part.start)).length;
      for (let index = part.start; index < part.end; index++) {
        const step = route[index]!;
        const isReached = reached[index] === true;
        if (step.kind === 'keep') keep(step.as, x);
        else if (step.kind === 'cut') next(false, (state) => ops.affine(state, 1, 0));
        else if (step.kind === 'mix') {
          if (!isReached) touch(parametersOf(step.mix));
          next(isReached, (state) => runMix(state, step.mix, states));
        } else {
          const at = { layer: step.layer, visit: visit++ };
          const { parameters: own } = layers[step.layer]!;
          const body = (input: Tensor): Tensor => runVisit(input, at, batch, rope, pass);
          if (!isReached) touch(own);
          next(isReached, (input) => (recompute && isReached ? ops.recomputed(input, own, body) : body(input)));
          tape?.mark();
          await pieces.next();
          pass.signal?.throwIfAborted();
          await pass.onLayer?.(step.layer, x);
        }
      }
      cache?.advance(batch.segments);
      if (part.end === route.length) next(true, finish);
      if (!isShort) await pieces.end();
      return x;
    } catch (error) {
      if (x?.disposed === false) x.release();
      throw error;
    } finally {
      for (const state of states.values()) state.release();
      // Recomputation reads the tables again: the tape holds them until it has gone back.
      tape?.keep(...rope.tensors);
      rope.release();
    }
    function touch(tensors: readonly Tensor[]): void {
      for (const tensor of tensors) tape?.touch(tensor);
    }
  };
  return {
    forward: (batch, pass = {}) => runSteps(batch, { start: 0, end: (pass.route ?? parts.route).length }, pass),
    forwardPart: runSteps,

    layerPass(batch) {
      const rope = ropes(batch);
      return {
        embed: () => embed(batch.ids),
        async layer(hidden, virtual) {
          const output = scope(() => runVisit(hidden, { layer: virtual, visit: virtual }, batch, rope, {}));
          await engine.drain();
          return output;
        },
        finish: (hidden) => scope(() => finish(hidden)),
        close: () => rope.release(),
      };
    },

    losses: (hidden, labels, tape) => {
      const body = (): Tensor => ops.tokenLosses(hidden, { weight: base.head, labels, softCap });
      return tape === undefined ? body() : ops.recording(tape, body);
    },

    logits: (hidden, rows) =>
      scope(() => {
        const parts = rows.map((row) => ops.cast(engine.slice(hidden, [row, 0], [1, spec.hiddenSize]), 'float32'));
        const inputs = parts.length === 1 ? parts[0]! : engine.concatenate(parts, 0);
        const { head } = base;
        const logits =
          head instanceof Tensor
            ? ops.linear(inputs, head, undefined, 'float32')
            : ops.frozenLinear(inputs, head, {}, 'float32');
        return softCap === undefined ? logits : ops.capped(logits, softCap);
      }),
  };
}

/** One execution of a virtual layer, and its number among the route's visits: a layer may be visited several times. */
interface Visit {
  readonly layer: number;
  readonly visit: number;
}

/** A part of the route, and hidden states for it where it does not begin with the embedding. */
function checkPart({ start, end, hidden }: RoutePart, { ids }: TokenBatch, count: number, hiddenSize: number): void {
  const isPart = Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= count;
  const fits = hidden === undefined ? start === 0 : hidden.shape[0] === ids.length && hidden.shape[1] === hiddenSize;
  if (isPart && fits) return;
  const given = hidden === undefined ? 'no hidden states' : `hidden states [${hidden.shape.join(', ')}]`;
  throw new ModelError(
    'BAD_ARGUMENT',
    `got the steps [${start}, ${end}) of ${count} and ${given} for ${ids.length} tokens; expected a range of steps, and hidden states [${ids.length}, ${hiddenSize}] unless it begins with the embedding, before step 0`,
  );
}

/** Keys and values are found by the number of the visit, so a cache of another route has those of other layers there. */
function checkCache({ visits }: CachePass, route: Route): void {
  let visit = 0;
  const isSame = route.every((step) => step.kind !== 'visit' || step.layer === visits[visit++]);
  if (isSame && visit === visits.length) return;
  throw new ModelError(
    'BAD_ARGUMENT',
    `the cache is laid out for the visits ${visits.join(', ')}, and the pass makes the visits ${visitsOf(route).join(', ')}; expected a cache of the pass's route: cacheOf(decoder, route)`,
  );
}

/** What a mix asks for by its name. */
function ofMix(
  { path, parameters = [], reads = [] }: Mix,
  what: string,
  all: ReadonlyMap<string, Tensor>,
  name: string,
): Tensor {
  const found = all.get(name);
  if (found !== undefined) return found;
  throw new ModelError(
    'BAD_ARGUMENT',
    `the mix ${path} asks for the ${what} "${name}"; it trains ${parameters.map((each) => each.name).join(', ') || 'nothing'} and reads ${reads.join(', ') || 'no state'}`,
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
