import { eventLoopTurns, type DType, type WeightSource } from '@glulam/files';
import {
  createOperations,
  detach,
  pace,
  scope,
  Tensor,
  type Engine,
  type FrozenWeight,
  type LinearForm,
  type Operations,
  type RandomKey,
  type Tape,
} from '@glulam/tensors';
import type { Adapter, AdapterForm, FormContext, LinearSite, SiteAdapter } from '../adapters/adapter.js';
import { checkAdapterValues, type AdapterValues } from '../adapters/adapter-values.js';
import { createBaseWeights, type BaseWeights } from '../weights/base-weights.js';
import { baseTensors } from '../weights/base-tensors.js';
import type { TokenBatch } from './batch.js';
import type { Block, BlockContext } from './block.js';
import { blockOf } from './blocks.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { ModelError } from '../errors.js';
import { linearsOf, type BlockSpec, type LinearSpec, type ModelSpec } from '../families/model-spec.js';
import { createFixedParts, splitValues, type FixedPart } from '../adapters/fixed-parts.js';
import type { CachePass } from './key-value-cache.js';
import type { PreparedForms } from './prepared-forms.js';
import { openRopes, type PassRopes } from './rope.js';
import { openWeights, readCopy, type ModelWeights } from '../weights/model-weights.js';
import { describeTrained, gateName, type AdaptedSite, type TrainedCopy } from '../adapters/trained-tensors.js';
import { checkVirtualLayers, linearScaleOf, unexpandedLayers, type VirtualLayer } from '../expansion/virtual-layer.js';

/** A frozen linear layer with an adapter. */
interface AdaptedLinear {
  readonly adapter: SiteAdapter;
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** What stands behind some of the tensors and is not trained. */
  readonly behind: Readonly<Record<string, FixedPart>>;
}

/** A constant that multiplies a frozen weight. */
interface FrozenScale {
  readonly factor: number;
  /** [in], all of them the factor. */
  readonly perInput: Tensor;
}

/** A linear layer of a virtual layer, ready to run. */
interface Linear {
  readonly spec: LinearSpec;
  /** Among the layer's linear layers. */
  readonly index: number;
  readonly weight: FrozenWeight | Tensor;
  readonly bias: Tensor | undefined;
  readonly adapted: AdaptedLinear | undefined;
  /** Where its frozen weight is scaled. */
  readonly scale: FrozenScale | undefined;
}

/** One block of a virtual layer, ready to run. */
interface LayerBlock {
  readonly spec: BlockSpec;
  readonly run: Block;
  readonly norm: Tensor;
  /** By role. */
  readonly linears: ReadonlyMap<string, Linear>;
  /** By role. */
  readonly vectors: ReadonlyMap<string, Tensor>;
}

/** One virtual layer, ready to run. */
interface Layer {
  readonly record: VirtualLayer;
  readonly blocks: readonly LayerBlock[];
  /** [1] */
  readonly gate: Tensor | undefined;
  readonly parameters: readonly Tensor[];
}

/** How a forward pass runs. Without options it is for inference, without a cache. */
export interface PassOptions {
  /** Record the pass for a backward. */
  readonly tape?: Tape;
  /** Keep only each virtual layer's input and compute the rest again in backward. */
  readonly recompute?: boolean;
  /** Dropout is on when training; its draws follow from (seed, step, virtual layer, linear layer). */
  readonly training?: { readonly seed: number; readonly step: number };
  /**
   * Run the reference: the virtual layers without what is trained. Adapters are left out, and gates are 0, as they begin. Not
   * for models that train copies of the base's tensors.
   */
  readonly reference?: boolean;
  /** Keys and values of earlier tokens; the batch's are appended. See `KeyValueCache.pass`. */
  readonly cache?: CachePass;
  /** Forms of adapted layers from earlier passes; those that are not there are kept in it. Not for training. */
  readonly forms?: PreparedForms | undefined;
  /** Aborting rejects with the signal's reason once the layer that is computed is done. */
  readonly signal?: AbortSignal | undefined;
  /** Looks at the output of each virtual layer, [tokens, hidden], as soon as it is computed; to find faults. */
  readonly onLayer?: (virtual: number, output: Tensor) => Promise<void>;
}

/** One batch's pass in parts, for whoever runs layers in an order of their own. What it returns is the caller's to release. */
export interface LayerPass {
  /** Hidden states before the first layer, [tokens, hidden]. */
  embed(): Tensor;
  /** What a virtual layer makes of any hidden states, which stay the caller's. */
  layer(hidden: Tensor, virtual: number): Promise<Tensor>;
  /** Hidden states after the last norm, as `forward` returns them. */
  finish(hidden: Tensor): Tensor;
  /** Release what all layers of the pass share. */
  close(): void;
}

/**
 * An expanded model on an engine: frozen weights, one set a physical layer, and what is trained, adapters and copies of
 * the base's tensors.
 */
export interface Decoder {
  /** The engine that holds the tensors. */
  readonly engine: Engine;
  /** Differentiable operations on it; a pass with a tape records through these. */
  readonly ops: Operations;
  /** What the base is made of. */
  readonly spec: ModelSpec;
  /** The virtual layers, in the order in which they run. */
  readonly layers: readonly VirtualLayer[];
  /** The base whose weights it computes with. */
  readonly checkpoint: Checkpoint;
  /** What changes the frozen linear layers; undefined: nothing. */
  readonly adapter: Adapter | undefined;
  /** Every frozen linear layer of every virtual layer, in order. */
  readonly sites: readonly LinearSite[];
  /** Trained tensors by PEFT's names without its prefix, such as `model.layers.7.self_attn.q_proj.lora_A.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The parameters that began as tensors of the base. */
  readonly copies: readonly TrainedCopy[];
  /** By the same names, what stands behind some of them and is not trained. */
  readonly fixed: ReadonlyMap<string, FixedPart>;
  /** By the same names, where an adapter sets one. */
  readonly learningRateFactors: ReadonlyMap<string, number>;
  /** Hidden states after the last norm, [tokens, hidden], held by the caller. */
  forward(batch: TokenBatch, options?: PassOptions): Promise<Tensor>;
  /** The same computation in parts, without tape, dropout and cache. */
  layerPass(batch: TokenBatch): LayerPass;
  /** Loss of each row's label given hidden states: [tokens]; labels are of the token itself, see `nextTokenLabels`. */
  losses(hidden: Tensor, labels: Int32Array, tape?: Tape): Tensor;
  /** Logits of some rows: [rows, vocabulary], float32. */
  logits(hidden: Tensor, rows: readonly number[]): Tensor;
  /** Release what is trained, and norms; the engine is the caller's. */
  close(): void;
}

/** What a decoder is made from. */
export interface DecoderOptions {
  /** The engine; the caller closes it. */
  readonly engine: Engine;
  /** The base. */
  readonly checkpoint: Checkpoint;
  /** Default: each physical layer once. */
  readonly layers?: readonly VirtualLayer[] | undefined;
  /** Default: none. */
  readonly adapter?: Adapter | undefined;
  /** Weights of the base that several decoders compute with; default: opened for this one. */
  readonly weights?: BaseWeights | undefined;
  /** Adapter tensors that there are already, by name; the decoder retains them. */
  readonly adapterTensors?: ReadonlyMap<string, Tensor> | undefined;
  /** Values of adapter tensors by name instead of fresh ones; `zeros` draws none, for plans. */
  readonly adapterValues?: AdapterValues | 'zeros' | undefined;
  /** Of fresh adapters that must look into the base for them: what `readFirstValues` returned. */
  readonly firstValues?: AdapterValues | undefined;
  /** Of the adapters' first values. */
  readonly seed?: number | undefined;
}

/** First values that depend on the base are read beforehand, by `readFirstValues`. */
function missing(name: string): never {
  throw new ModelError(
    'BAD_ARGUMENT',
    `${name} begins as a part of the base: pass what readFirstValues returns as firstValues, or saved values as adapterValues`,
  );
}

/** An adapter's tensors as forms have them, with what is not trained behind them. */
function wholeTensors(ops: Operations, { tensors, behind }: AdaptedLinear): Readonly<Record<string, Tensor>> {
  const joined = Object.entries(behind).map(
    ([name, { axis, tensor }]) => [name, ops.concatenate([tensors[name]!, tensor], axis)] as const,
  );
  return joined.length === 0 ? tensors : { ...tensors, ...Object.fromEntries(joined) };
}

/** A form with the checkpoint's bias in its own. */
function withBias(ops: Operations, { biasScale, ...form }: AdapterForm, bias: Tensor | undefined): LinearForm {
  const ofBase = bias && biasScale ? ops.mul(bias, biasScale) : bias;
  return { ...form, bias: ofBase && form.bias ? ops.add(ofBase, form.bias) : (ofBase ?? form.bias) };
}

/**
 * A form of a frozen layer whose weight is scaled: its inputs are scaled instead, which leaves the low rank as it is,
 * whatever the factor (0 too).
 */
function withScale<Form extends LinearForm>(ops: Operations, form: Form, scale: FrozenScale | undefined): Form {
  if (scale === undefined) return form;
  const { inScale } = form;
  return { ...form, inScale: inScale === undefined ? scale.perInput : ops.affine(inScale, scale.factor, 0) };
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

/** Sets the draws of first values apart from those of training steps, whose key begins alike. */
const initialUse = 0x696e6974;

/**
 * Put an expanded model on an engine: open the frozen weights, and make or upload what is trained. Takes turns with the event
 * loop, so that timers and signals are answered while thousands of virtual layers are made.
 *
 * @throws ModelError EXPANSION_INVALID if the layers do not fit the base; ADAPTER_INVALID if the adapter or its values
 *   do not fit; BAD_ARGUMENT if a parameter needs `firstValues`; the signal's reason where it is aborted. What was made is
 *   released
 */
export async function openDecoder({
  signal,
  ...options
}: DecoderOptions & { readonly signal?: AbortSignal | undefined }): Promise<Decoder> {
  const next = eventLoopTurns(signal);
  await next();
  const opened = options.weights ?? createBaseWeights(options.engine);
  const building = buildDecoder(options, opened);
  try {
    for (;;) {
      const { value, done } = building.next();
      if (done === true) return value;
      if (value !== undefined) await opened.open(value);
      await next();
    }
  } finally {
    building.return(undefined as never);
  }
}

/** Pauses after each piece of work, and for each weight that it is about to use. */
function* buildDecoder(
  options: DecoderOptions,
  opened: BaseWeights,
): Generator<WeightSource | undefined, Decoder, void> {
  const { engine, checkpoint, adapter, adapterValues, adapterTensors, seed = 0 } = options;
  const { spec, family } = checkpoint;
  const records = checkVirtualLayers(options.layers ?? unexpandedLayers(spec.layers.length), spec);
  const ops = createOperations(engine);
  const held: Tensor[] = [];
  const hold = (tensor: Tensor): Tensor => {
    held.push(tensor);
    return detach(tensor);
  };

  const parameters = new Map<string, Tensor>();
  const learningRateFactors = new Map<string, number>();
  const trained = describeTrained(spec, records, adapter);
  yield undefined;
  const zeros = adapterValues === 'zeros';
  const given = zeros ? undefined : adapterValues;
  if (given !== undefined) checkAdapterValues(given, trained);
  const known = (name: string): Float32Array | undefined => (given ?? options.firstValues)?.get(name)?.values;
  // A plan opens what a fresh run opens.
  const isGiven = (name: string): boolean =>
    adapterTensors?.has(name) === true || (given ?? options.firstValues)?.has(name) === true;
  const fixedParts = createFixedParts((values, size) =>
    hold(values === undefined ? engine.full(size, 0) : engine.upload(values, size)),
  );
  const fixed = new Map<string, FixedPart>();
  const train = (name: string, size: readonly number[], first: () => Float32Array | Tensor): Tensor => {
    const values = adapterTensors?.get(name)?.retain() ?? (zeros ? engine.full(size, 0) : first());
    const tensor = hold(values instanceof Tensor ? values : engine.upload(values, size));
    parameters.set(name, tensor);
    return tensor;
  };
  const parameter = (name: string, size: readonly number[], initial: () => Float32Array | Tensor): Tensor =>
    train(name, size, () => known(name) ?? initial());
  const close = (): void => {
    if (options.weights === undefined) opened.close();
    for (const tensor of held) tensor.release();
  };
  const copies = new Map<TrainedCopy, Tensor>();
  const layers: Layer[] = [];
  let base: ModelWeights;
  let finished = false;
  try {
    const frozen = baseTensors(spec, records).filter(({ name }) => !trained.copyAt.has(name));
    for (const name of new Set(frozen.map(({ source }) => source))) yield checkpoint.files.source(name);
    for (const copy of trained.copies) {
      if (!isGiven(copy.name) && copy.startScale !== 0) yield checkpoint.files.source(copy.source);
      copies.set(
        copy,
        parameter(copy.name, copy.shape, () => readCopy(engine, opened, copy)),
      );
      yield undefined;
    }
    base = openWeights(engine, opened, checkpoint, (place) => copies.get(trained.copyAt.get(place)!), hold);
    const perInput = new Map<string, Tensor>();
    const frozenScale = (factor: number, inFeatures: number): FrozenScale => {
      const key = `${factor} ${inFeatures}`;
      const tensor = perInput.get(key) ?? hold(engine.full([inFeatures], factor));
      perInput.set(key, tensor);
      return { factor, perInput: tensor };
    };
    const adaptedIn = records.map((): AdaptedSite[] => []);
    for (const each of trained.adapted) adaptedIn[each.site.virtual]!.push(each);
    for (const [virtual, record] of records.entries()) {
      const weights = base.layer(record, virtual);
      const own: Tensor[] = [...weights.copies];
      const adapters = new Map<string, AdaptedLinear>();
      for (const { site, adapter } of adaptedIn[virtual]!) {
        const { weight } = weights.linears.get(site.linear)!;
        if (adapter === undefined || weight instanceof Tensor) continue;
        const frozen = opened.rows.of(weight, site.scale);
        adapter.prepare?.(frozen);
        const tensors: Record<string, Tensor> = {};
        const behind: Record<string, FixedPart> = {};
        for (const [use, each] of adapter.parameters.entries()) {
          const name = `${site.path}.${each.name}`;
          const key: RandomKey = [seed, initialUse, virtual, site.index * 16 + use];
          if (each.fixed === undefined) {
            tensors[each.name] = parameter(name, each.shape, () => each.initial({ key, engine, frozen }));
          } else {
            const parts = zeros ? undefined : splitValues(each, known(name) ?? missing(name));
            tensors[each.name] = train(name, each.shape, () => parts!.trained);
            behind[each.name] = fixedParts.put(site, each, parts?.fixed);
            fixed.set(name, behind[each.name]!);
          }
          if (each.learningRateFactor !== undefined) learningRateFactors.set(name, each.learningRateFactor);
          own.push(tensors[each.name]!);
        }
        adapters.set(site.linear, { adapter, tensors, behind });
        yield undefined;
      }
      const { blocks } = spec.layers[record.physical]!;
      const linears = linearsOf({ blocks }).map((linear, index): Linear => {
        const { weight, bias } = weights.linears.get(linear.name)!;
        const factor = linearScaleOf(record, linear.name);
        const isScaled = factor !== 1 && !(weight instanceof Tensor);
        const scale = isScaled ? frozenScale(factor, linear.inFeatures) : undefined;
        return { spec: linear, index, weight, bias, adapted: adapters.get(linear.name), scale };
      });
      const linearOf = new Map(linears.map((linear) => [linear.spec, linear]));
      const gate =
        record.gate === undefined ? undefined : parameter(gateName(spec, virtual), [1], () => new Float32Array(1));
      if (gate !== undefined) own.push(gate);
      layers.push({
        record,
        blocks: blocks.map((block) => ({
          spec: block,
          run: blockOf(block, family),
          norm: weights.norms.get(block.norm.name)!,
          linears: new Map(block.linears.map((linear) => [linear.role, linearOf.get(linear)!])),
          vectors: new Map((block.vectors ?? []).map(({ role, name }) => [role, weights.vectors.get(name)!])),
        })),
        gate,
        parameters: own,
      });
      yield undefined;
    }
    finished = true;
  } finally {
    // Of a model that fails, or is given up, nothing stays.
    if (!finished) close();
  }

  const ropes = openRopes(engine, spec);
  const type = ops.activation;

  /** A linear layer with its adapter, x [tokens, in] to [tokens, out]. */
  const runLinear = (
    input: Tensor,
    { spec: { name }, index, weight, bias, adapted, scale }: Linear,
    virtual: number,
    output: DType,
    { training, forms, reference = false }: PassOptions,
  ): Tensor => {
    if (weight instanceof Tensor) return ops.linear(input, weight, bias, output);
    const known = reference ? undefined : forms?.get(virtual, name);
    if (known !== undefined) return ops.frozenLinear(input, weight, known, output);
    if (adapted === undefined || reference)
      return ops.frozenLinear(input, weight, withScale(ops, { bias }, scale), output);
    const { adapter } = adapted;
    const tensors = wholeTensors(ops, adapted);
    const context: FormContext = {
      ops,
      training: training !== undefined,
      key: [training?.seed ?? 0, training?.step ?? 0, virtual, index],
      frozen: opened.rows.of(weight, scale?.factor),
    };
    const applied = adapter.apply?.(input, tensors, {
      ...context,
      linear: (x, form) => ops.frozenLinear(x, weight, withScale(ops, form, scale), 'float32'),
    });
    if (applied !== undefined) return ops.cast(bias === undefined ? applied : ops.add(applied, bias), output);
    const form = withScale(ops, withBias(ops, adapter.form(tensors, context), bias), scale);
    forms?.keep(virtual, name, form);
    return ops.frozenLinear(input, weight, form, output);
  };

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
          runLinear(input, withRole(block, 'linear layer', linears, role), virtual, output, pass),
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

  return {
    engine,
    ops,
    spec,
    layers: records,
    checkpoint,
    adapter,
    sites: trained.adapted.map(({ site }) => site),
    parameters,
    fixed,
    copies: trained.copies,
    learningRateFactors,

    async forward(batch, pass = {}) {
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
      if (pass.reference === true && trained.copies.length > 0)
        throw new ModelError(
          'BAD_ARGUMENT',
          `the model trains ${trained.copies[0]!.name} itself, so it has no reference in memory; expected adapters and gates alone`,
        );
      const rope = ropes(batch.positions);
      const recorded = <T>(body: () => T): T => (tape === undefined ? body() : ops.recording(tape, body));
      if (tape !== undefined) for (const parameter of parameters.values()) tape.watch(parameter);
      let x: Tensor;
      try {
        x = recorded(() => ops.embedding(base.embedding, batch.ids, spec.embedding.paddingRow));
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
        for (let virtual = 0; virtual < layers.length; virtual++) {
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
        next(finish);
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
    },

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

    close,
  };
}
