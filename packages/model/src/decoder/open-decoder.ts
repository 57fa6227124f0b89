import { eventLoopTurns, roundTo, type WeightSource } from '@glulam/files';
import { createOperations, detach, Tensor, type RandomKey } from '@glulam/tensors';
import { checkAdapterValues } from '../adapters/adapter-values.js';
import { createFixedParts, splitValues, type FixedPart } from '../adapters/fixed-parts.js';
import { describeTrained, gateName, type AdaptedSite, type TrainedCopy } from '../adapters/trained-tensors.js';
import { ModelError } from '../errors.js';
import { checkRoute, mixesOf, mixParameterName, plainRoute } from '../expansion/route.js';
import { checkVirtualLayers, linearScaleOf, mostLayers, unexpandedLayers } from '../expansion/virtual-layer.js';
import { linearsOf, weightName, type NormSpec } from '../families/model-spec.js';
import { baseTensors } from '../weights/base-tensors.js';
import { createBaseWeights, type BaseWeights } from '../weights/base-weights.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { openWeights, readCopy, type ModelWeights } from '../weights/model-weights.js';
import { blockOf } from './blocks.js';
import type { Decoder, DecoderOptions } from './decoder.js';
import type { AdaptedLinear, FrozenScale, Layer, Linear, Norm } from './layer.js';
import { createPasses } from './run-layers.js';

/** First values that depend on the base are read beforehand, by `readFirstValues`. */
function missing(name: string): never {
  throw new ModelError(
    'BAD_ARGUMENT',
    `${name} begins as a part of the base: pass what readFirstValues returns as firstValues, or saved values as adapterValues`,
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
  const route = checkRoute(options.route ?? plainRoute(records.length), records.length);
  const trained = describeTrained(spec, records, adapter, mixesOf(route));
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
  const mixParameters = new Map<string, Tensor>();
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
      const normOf = (norm: NormSpec | undefined): Norm | undefined =>
        norm && { spec: norm, weight: weights.norms.get(norm.name)! };
      const gate =
        record.gate === undefined ? undefined : parameter(gateName(spec, virtual), [1], () => new Float32Array(1));
      if (gate !== undefined) own.push(gate);
      layers.push({
        record,
        blocks: blocks.map((block) => ({
          spec: block,
          run: blockOf(block, family),
          norm: normOf(block.norm),
          outputNorm: normOf(block.outputNorm),
          innerNorms: new Map((block.innerNorms ?? []).map((norm) => [norm.role, normOf(norm)!])),
          linears: new Map(block.linears.map((linear) => [linear.role, linearOf.get(linear)!])),
          vectors: new Map((block.vectors ?? []).map(({ role, name }) => [role, weights.vectors.get(name)!])),
        })),
        gate,
        parameters: own,
      });
      yield undefined;
    }
    for (const [place, mix] of mixesOf(route).entries())
      for (const [index, each] of (mix.parameters ?? []).entries()) {
        const name = mixParameterName(mix, each);
        // Beyond all layers' own.
        const key: RandomKey = [seed, initialUse, mostLayers + place, index];
        mixParameters.set(
          name,
          parameter(name, each.shape, () => each.initial(key)),
        );
      }
    finished = true;
  } finally {
    // Of a model that fails, or is given up, nothing stays.
    if (!finished) close();
  }

  return {
    engine,
    ops,
    spec,
    layers: records,
    route,
    checkpoint,
    adapter,
    sites: trained.adapted.map(({ site }) => site),
    parameters,
    fixed,
    copies: trained.copies,
    learningRateFactors,
    ...createPasses({
      ...{ ops, spec, layers, route, base, rows: opened.rows, parameters, mixParameters },
      embeddingScale: embeddingScale(checkpoint),
      trainsCopy: trained.copies[0]?.name,
    }),
    close,
  };
}

function embeddingScale({ spec: { embedding }, files }: Pick<Checkpoint, 'spec' | 'files'>): number {
  const { factor = 1, inStoredType = false } = embedding.scale ?? {};
  return inStoredType ? roundTo(files.source(weightName(embedding.name)).dtype, factor) : factor;
}
