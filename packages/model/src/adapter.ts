import { point } from '@glulam/plugin';
import type { FrozenWeight, LinearForm, Operations, RandomKey, Tensor } from '@glulam/tensors';
import type { z } from 'zod';
import type { LinearName } from './family.js';

/** A frozen linear layer of one virtual layer: where an adapter may sit. */
export interface LinearSite {
  readonly virtual: number;
  readonly physical: number;
  /** 0 on the first visit to the physical layer, more on repeats. */
  readonly visit: number;
  readonly linear: LinearName;
  /** The module's path with the virtual index, as PEFT matches it: `model.layers.7.self_attn.q_proj`. */
  readonly path: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** One trained tensor; `name` is PEFT's below the module's path, such as `lora_A.weight`. */
export interface AdapterParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** The first values, row-major, drawn from `key` if they are random. */
  initial(key: RandomKey): Float32Array;
}

/** What a forward pass tells an adapter. */
export interface FormContext {
  readonly ops: Operations;
  readonly training: boolean;
  /** A key for this pass, virtual layer and linear layer: the same in recomputation and when a run is resumed. */
  readonly key: RandomKey;
  /**
   * The frozen weight, [out, in], for forms that follow from it, such as DoRA's outScale = m / ‖W + s B A‖. It may be
   * larger than memory: `engine.readWeight` gives some of its rows, products like W Aᵀ are `ops.frozenLinear(A, weight, {}, ...)`.
   */
  readonly weight: FrozenWeight;
}

/**
 * The adapter of one site: its parameters, and the form (see `LinearForm`) they give the layer. A pass asks for the form
 * on its engine; a merge asks for it once, on the reference engine and not in training, and folds its values in.
 */
export interface SiteAdapter {
  readonly parameters: readonly AdapterParameter[];
  form(tensors: Readonly<Record<string, Tensor>>, context: FormContext): LinearForm;
}

export interface Adapter {
  readonly kind: string;
  /** undefined: the site stays as it is. */
  at(site: LinearSite): SiteAdapter | undefined;
  /**
   * The fields of `adapter_config.json` that say this adapter on these sites (every frozen linear layer of the model),
   * but `layer_replication` and the base's name.
   */
  peftConfig(sites: readonly LinearSite[]): Record<string, unknown>;
}

/** An adapter as a config chooses it, with the options it was made from; JSON-safe. */
export interface AdapterChoice {
  readonly kind: string;
  readonly options: unknown;
}

/** What a plugin contributes at the point `adapters`. */
export interface AdapterContribution<Options = unknown> {
  readonly kind: string;
  readonly schema: z.ZodType<Options>;
  /** Options that follow from the model, such as a rank that makes a number of parameters; before `create`. Pure. */
  resolve?(options: Options, sites: readonly LinearSite[]): Options;
  create(options: Options): Adapter;
  /** Options for an `adapter_config.json` of this kind, undefined for one of another; throws on what it cannot follow. */
  fromPeft(config: Readonly<Record<string, unknown>>): Options | undefined;
}

export const adapters = point<AdapterContribution>('model.adapters');
