import { detach, scope, type Engine, type Tensor } from '@glulam/tensors';
import { createBaseWeights, type BaseWeights } from '../weights/base-weights.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { combineAdapters, partName } from './combine-adapters.js';
import type { SavedAdapter } from './saved-adapter.js';
import type { Decoder, DecoderOptions } from '../decoder/decoder.js';
import { openDecoder } from '../decoder/open-decoder.js';
import { ModelError } from '../errors.js';
import { gateName } from './trained-tensors.js';
import { unexpandedLayers, type VirtualLayer } from '../expansion/virtual-layer.js';
import { checkSameLayers, checkSelection, noSum, type ChosenAdapter } from './weighted-sum.js';

/**
 * What a model runs with: a weighted sum of adapters; `none`, the virtual layers alone, with gates as they begin; or
 * `base`, each physical layer once.
 */
export type AdapterSelection = readonly ChosenAdapter[] | 'none' | 'base';

/** An adapter to add: as `readAdapter` gives it, or without values, which are then its first ones. */
export type AddedAdapter = Pick<SavedAdapter, 'adapter' | 'layers' | 'base'> &
  Partial<Pick<SavedAdapter, 'values'>> &
  Pick<DecoderOptions, 'firstValues'>;

/**
 * Several adapters for one expanded model. The base is opened once and expanded once, whatever is added: a decoder takes
 * no memory but for its adapters' tensors, and those of a sum are its parts' own.
 */
export interface AdapterSet {
  /** The virtual layers that all its adapters were trained on. */
  readonly layers: readonly VirtualLayer[];
  /** Of the adapters, in the order added. */
  readonly names: readonly string[];
  /**
   * Add an adapter under a name; its tensors go to the engine. Aborting rejects with the signal's reason.
   *
   * @throws ModelError ADAPTER_INVALID if it is for another base or other layers, or the name is taken
   */
  add(name: string, adapter: AddedAdapter, signal?: AbortSignal): Promise<void>;
  /** Take an adapter out, and close the decoders that it is a part of. */
  remove(name: string): void;
  /**
   * The model with these adapters. It is the set's, which closes it; asked for again it is the same one. Keys and values
   * cached for one selection are of no use to another. Aborting rejects with the signal's reason.
   *
   * @throws ModelError ADAPTER_INVALID if a name is not in the set, or a sum is not to be made, see `combineAdapters`
   */
  decoder(selection: AdapterSelection, signal?: AbortSignal): Promise<Decoder>;
  /** Close all decoders of the set. The engine stays open. */
  close(): void;
}

/** What an adapter set is made from. */
export interface AdapterSetOptions {
  /** The engine of all decoders; the caller closes it. */
  readonly engine: Engine;
  /** The base. */
  readonly checkpoint: Checkpoint;
  /** Its weights on the engine, if they are open already; the caller closes them. Default: the set's own. */
  readonly weights?: BaseWeights | undefined;
  /** The expansion; every adapter must have been trained on the same layers. */
  readonly layers: readonly VirtualLayer[];
  /** Of first values. */
  readonly seed?: number | undefined;
}

/** An empty set. The base's weights are opened when the first decoder needs them, and shared by all. */
export function createAdapterSet({ engine, checkpoint, weights: given, layers, seed }: AdapterSetOptions): AdapterSet {
  const weights = given ?? createBaseWeights(engine);
  const common = { engine, checkpoint, weights, seed };
  /** Each adapter alone, which holds its tensors. */
  const added = new Map<string, Decoder>();
  const others = new Map<string, { readonly decoder: Decoder; readonly parts: readonly string[] }>();

  const named = (name: string): Decoder => {
    const decoder = added.get(name);
    if (decoder !== undefined) return decoder;
    const known = [...added.keys()].join(', ') || 'none';
    throw new ModelError('ADAPTER_INVALID', `there is no adapter "${name}"; loaded adapters: ${known}`);
  };

  /** The sum of gates, by name; 0 where none of the parts has one, as they begin. */
  const sumGates = (parts: readonly ChosenAdapter[]): Map<string, Tensor> =>
    new Map(
      layers.flatMap(({ gate }, virtual) => {
        if (gate === undefined) return [];
        const name = gateName(checkpoint.spec, virtual);
        const sum = scope(() =>
          parts
            .map((part) => engine.affine(named(part.name).parameters.get(name)!, part.weight, 0))
            .reduce((total, term) => engine.binary('add', total, term)),
        );
        return [[name, detach(sum)] as const];
      }),
    );

  /** A sum has the tensors of its parts' sites and gates; what else a part trains, it cannot have. */
  const checkSummable = (name: string): void => {
    const { copies, fixed } = named(name);
    const [kept] = fixed.keys();
    if (kept !== undefined) throw noSum(name, `keeps a part of ${kept} as it began`);
    const [copy] = copies;
    if (copy !== undefined) throw noSum(name, `has its own ${copy.name}`);
  };

  /** What a decoder of their sum is made of; `gates` are the caller's. */
  const describeSum = (parts: readonly ChosenAdapter[]) => {
    for (const { name } of parts) checkSummable(name);
    const adapter = combineAdapters(
      parts.flatMap(({ name, weight }) => {
        const { adapter: each } = named(name);
        return each === undefined ? [] : [{ adapter: each, weight }];
      }),
    );
    const gates = sumGates(parts);
    const tensors = new Map<string, Tensor>(gates);
    parts.forEach(({ name }, part) => {
      const { sites, adapter: each, parameters } = named(name);
      for (const site of sites)
        for (const parameter of each?.at(site)?.parameters ?? [])
          tensors.set(
            `${site.path}.${partName(part, parameter.name)}`,
            parameters.get(`${site.path}.${parameter.name}`)!,
          );
    });
    return { options: { ...common, layers, adapter, adapterTensors: tensors }, gates: [...gates.values()] };
  };

  const describe = (selection: AdapterSelection): { options: DecoderOptions; gates: readonly Tensor[] } => {
    if (selection === 'base')
      return { options: { ...common, layers: unexpandedLayers(checkpoint.spec.layers.length) }, gates: [] };
    if (selection === 'none') return { options: { ...common, layers }, gates: [] };
    return describeSum(selection);
  };

  /** The decoder of a selection, where there is one, and else the selection itself, in its simplest form. */
  const find = (selection: AdapterSelection): Decoder | AdapterSelection => {
    if (typeof selection !== 'string') {
      checkSelection(selection);
      // Alone and whole: the adapter's own decoder.
      const [first, second] = selection;
      if (first === undefined) return find('none');
      if (second === undefined && first.weight === 1) return named(first.name);
    }
    return others.get(JSON.stringify(selection))?.decoder ?? selection;
  };
  const isMade = (found: Decoder | AdapterSelection): found is Decoder =>
    typeof found === 'object' && 'engine' in found;

  const keep = (selection: AdapterSelection, decoder: Decoder): Decoder => {
    const parts = typeof selection === 'string' ? [] : selection.map(({ name }) => name);
    others.set(JSON.stringify(selection), { decoder, parts });
    return decoder;
  };

  /** What the decoder of an adapter alone is made of. */
  const describeAdded = (name: string, { adapter, layers: trainedOn, values, firstValues, base }: AddedAdapter) => {
    if (added.has(name)) throw new ModelError('ADAPTER_INVALID', `there is an adapter "${name}" already`);
    const from = `the adapter "${name}"${base === undefined ? '' : ` of ${base}`}`;
    const own = trainedOn ?? unexpandedLayers(checkpoint.spec.layers.length);
    checkSameLayers(from, own, layers);
    const unfit = (cause: unknown): unknown =>
      !(cause instanceof ModelError) || cause.code === 'WEIGHT_NOT_FINITE'
        ? cause
        : new ModelError(cause.code, `${from} does not fit ${checkpoint.folder}: ${cause.message}`, { cause });
    return { options: { ...common, layers, adapter, adapterValues: values, firstValues }, unfit };
  };

  return {
    layers,
    get names() {
      return [...added.keys()];
    },
    async add(name, adapter, signal) {
      const { options, unfit } = describeAdded(name, adapter);
      try {
        added.set(name, await openDecoder({ ...options, signal }));
      } catch (cause) {
        throw unfit(cause);
      }
    },
    remove(name) {
      const decoder = named(name);
      for (const [key, { decoder: other, parts }] of others) {
        if (!parts.includes(name)) continue;
        other.close();
        others.delete(key);
      }
      decoder.close();
      added.delete(name);
    },
    async decoder(selection, signal) {
      const found = find(selection);
      if (isMade(found)) return found;
      const { options, gates } = describe(found);
      try {
        return keep(found, await openDecoder({ ...options, signal }));
      } finally {
        for (const gate of gates) gate.release();
      }
    },
    close() {
      for (const { decoder } of others.values()) decoder.close();
      for (const decoder of added.values()) decoder.close();
      if (given === undefined) weights.close();
    },
  };
}
