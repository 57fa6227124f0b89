import { detach, scope, type Engine, type Tensor } from '@glulam/tensors';
import { createBaseWeights } from './base-weights.js';
import type { Checkpoint } from './checkpoint.js';
import { combineAdapters, partName } from './combine-adapters.js';
import { createDecoder, type Decoder, type DecoderOptions } from './decoder.js';
import { ModelError } from './errors.js';
import type { SavedAdapter } from './peft-files.js';
import { gateName } from './trained-tensors.js';
import { unexpandedLayers, type VirtualLayer } from './virtual-layer.js';
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
   * Add an adapter under a name; its tensors go to the engine at once.
   *
   * @throws ModelError ADAPTER_INVALID if it is for another base or other layers, or the name is taken
   */
  add(name: string, adapter: AddedAdapter): void;
  /** Take an adapter out, and close the decoders that it is a part of. */
  remove(name: string): void;
  /**
   * The model with these adapters. It is the set's, which closes it; asked for again it is the same one. Keys and values
   * cached for one selection are of no use to another.
   *
   * @throws ModelError ADAPTER_INVALID if a name is not in the set, or a sum is not to be made, see `combineAdapters`
   */
  decoder(selection: AdapterSelection): Decoder;
  /** Close all decoders of the set. The engine stays open. */
  close(): void;
}

/** What an adapter set is made from. */
export interface AdapterSetOptions {
  /** The engine of all decoders; the caller closes it. */
  readonly engine: Engine;
  /** The base. */
  readonly checkpoint: Checkpoint;
  /** The expansion; every adapter must have been trained on the same layers. */
  readonly layers: readonly VirtualLayer[];
  /** Of first values. */
  readonly seed?: number | undefined;
}

/** An empty set. The base's weights are opened when the first decoder needs them, and shared by all. */
export function createAdapterSet({ engine, checkpoint, layers, seed }: AdapterSetOptions): AdapterSet {
  const weights = createBaseWeights(engine);
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
        const name = gateName(checkpoint.shape, virtual);
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

  const sum = (parts: readonly ChosenAdapter[]): Decoder => {
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
    const decoder = createDecoder({ ...common, layers, adapter, adapterTensors: tensors });
    for (const gate of gates.values()) gate.release();
    return decoder;
  };

  const make = (selection: AdapterSelection): Decoder => {
    if (selection === 'base')
      return createDecoder({ ...common, layers: unexpandedLayers(checkpoint.shape.physicalLayers) });
    if (selection === 'none') return createDecoder({ ...common, layers });
    return sum(selection);
  };

  return {
    layers,
    get names() {
      return [...added.keys()];
    },
    add(name, { adapter, layers: trainedOn, values, firstValues, base }) {
      if (added.has(name)) throw new ModelError('ADAPTER_INVALID', `there is an adapter "${name}" already`);
      const from = `the adapter "${name}"${base === undefined ? '' : ` of ${base}`}`;
      const own = trainedOn ?? unexpandedLayers(checkpoint.shape.physicalLayers);
      checkSameLayers(from, own, layers);
      try {
        added.set(name, createDecoder({ ...common, layers, adapter, adapterValues: values, firstValues }));
      } catch (cause) {
        if (!(cause instanceof ModelError) || cause.code === 'WEIGHT_NOT_FINITE') throw cause;
        throw new ModelError(cause.code, `${from} does not fit ${checkpoint.folder}: ${cause.message}`, { cause });
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
    decoder(selection) {
      if (typeof selection !== 'string') {
        checkSelection(selection);
        // Alone and whole: the adapter's own decoder.
        const [first, second] = selection;
        if (first === undefined) return this.decoder('none');
        if (second === undefined && first.weight === 1) return named(first.name);
      }
      const key = JSON.stringify(selection);
      const known = others.get(key);
      if (known !== undefined) return known.decoder;
      const parts = typeof selection === 'string' ? [] : selection.map(({ name }) => name);
      const decoder = make(selection);
      others.set(key, { decoder, parts });
      return decoder;
    },
    close() {
      for (const { decoder } of others.values()) decoder.close();
      for (const decoder of added.values()) decoder.close();
      weights.close();
    },
  };
}
