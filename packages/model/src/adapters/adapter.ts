import { point } from '@glulam/plugin';
import type { Engine, LinearForm, Operations, RandomKey, Tensor } from '@glulam/tensors';
import type { z } from 'zod';
import type { BaseTensor } from '../weights/base-tensors.js';
import type { ModelSpec } from '../families/model-spec.js';
import type { PrincipalParts } from './low-rank/principal-parts.js';

/** A frozen linear layer of one virtual layer: where an adapter may sit. */
export interface LinearSite {
  /** Index of the virtual layer, from 0. */
  readonly virtual: number;
  /** Index of the base's layer whose weight it is, from 0. */
  readonly physical: number;
  /** 0 on the first use of the physical layer, more on repeats. */
  readonly use: number;
  /** Which of the layer's linear layers it is: its module path below the layer, such as `self_attn.q_proj`. */
  readonly linear: string;
  /** Its place among the layer's linear layers. */
  readonly index: number;
  /** The module's path with the virtual index, as PEFT matches it: `model.layers.7.self_attn.q_proj`. */
  readonly path: string;
  /** Columns of the weight [out, in]. */
  readonly inFeatures: number;
  /** Rows of the weight [out, in]. */
  readonly outFeatures: number;
  /** The checkpoint has a bias for it. */
  readonly hasBias: boolean;
  /** Its output is added to the residual stream, see `LinearSpec.writesResidual`. */
  readonly writesResidual: boolean;
  /** The virtual layer multiplies the base's weight and bias by it (`VirtualLayer.linearScales`); default 1. */
  readonly scale?: number;
}

/** One trained tensor; `name` is PEFT's below the module's path, such as `lora_A.weight`. */
export interface AdapterParameter {
  /** Unique within its site. */
  readonly name: string;
  /** Of the trained part; see `wholeShape`. */
  readonly shape: readonly number[];
  /** The first values, row-major, or as a tensor of its own that was made on the weight's engine. */
  initial(context: InitialContext): Float32Array | Tensor;
  /** Multiplies the learning rate; default 1. */
  readonly learningRateFactor?: number | undefined;
  /**
   * A part that is never trained: so many rows (axis 0) or columns (axis 1) behind the trained ones. Forms and files have
   * both as one tensor, whose first values come from `SiteAdapter.firstValues`. Sites of one physical layer that say the
   * same name, size and `group` have the same fixed part, and hold it once.
   */
  readonly fixed?: { readonly axis: 0 | 1; readonly size: number; readonly group: string } | undefined;
}

/** The shape that files and forms have, fixed part included. */
export function wholeShape({ shape, fixed }: Pick<AdapterParameter, 'shape' | 'fixed'>): readonly number[] {
  return fixed === undefined
    ? shape
    : shape.map((length, axis) => (axis === fixed.axis ? length + fixed.size : length));
}

/** What the first values of a parameter may depend on. */
export interface InitialContext {
  /** Of what is random. */
  readonly key: RandomKey;
  /** The engine that will hold the parameter. */
  readonly engine: Engine;
  /** The frozen weight under the adapter. */
  readonly frozen: FrozenRows;
}

/** What an adapter may know of the frozen weight [out, in] that it sits on, scaled as its site says; constants, without gradient. */
export interface FrozenRows {
  /** Squared norm of each row, [out], float32: computed once a physical layer, held for all its virtual layers. */
  squares(): Tensor;
  /** x W^T of some rows x [n, in]: [n, out], float32, with operands of the engine's precision. */
  times(x: Tensor): Tensor;
  /**
   * The first singular triples of the weight, in float32 whatever the engine's precision: so many iterations, or until
   * |W^T u - sigma v| is 1e-5 of the largest sigma. Computed once a physical layer, rank and number of iterations.
   */
  principal(rank: number, iterations?: number): Promise<PrincipalParts>;
}

/** What a forward pass tells an adapter. */
export interface FormContext {
  /** Operations to make the form with; they record where the pass does. */
  readonly ops: Operations;
  /** Dropout is on. */
  readonly training: boolean;
  /** A key for this pass, visit and linear layer: the same in recomputation and when a run is resumed. */
  readonly key: RandomKey;
  /** The frozen weight under the adapter. */
  readonly frozen: FrozenRows;
}

/** What `SiteAdapter.apply` computes with: the frozen layer under any form, without the checkpoint's bias. */
export interface ApplyContext extends FormContext {
  /** The frozen layer of x [tokens, in] under a form: [tokens, out]. */
  linear(x: Tensor, form: LinearForm): Tensor;
}

/** y = outScale * (W (inScale * x) + scale * B A dropout(x)) + biasScale * b + bias, with b the checkpoint's bias, if any. */
export interface AdapterForm extends LinearForm {
  /** [out] */
  readonly biasScale?: Tensor | undefined;
}

/**
 * The adapter of one site: its parameters, and the form they give the layer. A pass asks for the form
 * on its engine; a merge asks for it once, on the reference engine and not in training, and folds its values in.
 */
export interface SiteAdapter {
  /** What is trained here; no name is there twice. */
  readonly parameters: readonly AdapterParameter[];
  /** The layer's form. `tensors` are the parameters in whole shapes, by `AdapterParameter.name`. */
  form(tensors: Readonly<Record<string, Tensor>>, context: FormContext): AdapterForm;
  /**
   * Asks of the frozen rows what forms will ask of them and is held then: when the decoder is made, with new tensors or
   * saved ones. So what it takes meanwhile does not come on top of a training step.
   */
  prepare?(frozen: FrozenRows): void;
  /**
   * First values, in whole shapes, of parameters that cannot say them at once or have a fixed part; the others are drawn
   * by their `initial`.
   */
  readonly firstValues?:
    ((context: { readonly frozen: FrozenRows }) => Promise<Readonly<Record<string, Float32Array>>>) | undefined;
  /**
   * The layer's output where no form says it, such as DoRA's in training with dropout: undefined where the form does.
   * The checkpoint's bias is added to what it returns.
   */
  apply?(x: Tensor, tensors: Readonly<Record<string, Tensor>>, context: ApplyContext): Tensor | undefined;
}

export type CopyChoice = 'own' | 'shared' | 'follows' | undefined;

/**
 * How one adapter changes and trains an expanded model, site by site; what `AdapterContribution.create` makes of
 * options.
 */
export interface Adapter {
  /** The kind of the contribution that made it, or `sum` for a weighted sum. */
  readonly kind: string;
  /** undefined: the site stays as it is. */
  at(site: LinearSite): SiteAdapter | undefined;
  /**
   * Which of the model's own tensors are trained as float32 copies, one answer per tensor: `own`, a copy for this
   * place alone; `shared`, one for all places of the base's tensor, their gradients summed; `follows`, this place uses
   * the shared copy of another place and PEFT's files do not list it. Asked of all places at once
   * but those in virtual layers with `weights: 'own'`, which have copies already. Absent: none.
   */
  copies?(tensors: readonly BaseTensor[]): readonly CopyChoice[];
  /**
   * The fields of `adapter_config.json` that say this adapter on these sites (every frozen linear layer of the model),
   * but `layer_replication` and the base's name.
   */
  peftConfig(sites: readonly LinearSite[]): Record<string, unknown>;
  /** Why PEFT's files cannot say this adapter; absent: they can. */
  readonly notPeft?: string | undefined;
}

/** An adapter as a config chooses it, with the options it was made from; JSON-safe. */
export interface AdapterChoice {
  /** Names the `AdapterContribution`. */
  readonly kind: string;
  /** As its schema returned them, defaults filled in. */
  readonly options: unknown;
}

/** What a plugin contributes at the point `adapters`. */
export interface AdapterContribution<Options = unknown> {
  /** The name by which a config chooses this adapter. */
  readonly kind: string;
  /** Checks the adapter's options in a config and fills in their defaults. */
  readonly schema: z.ZodType<Options>;
  /** Options that follow from the model, such as a rank that makes a number of parameters; before `create`. Pure. */
  resolve?(options: Options, sites: readonly LinearSite[]): Options;
  /** What of the options cannot be on this base, beyond what `create` refuses; `checkAdapterOptions` throws them. */
  faults?(options: Options, spec: ModelSpec): readonly string[];
  /** For users: what the options say that has no effect on these sites of this base. */
  warnings?(options: Options, sites: readonly LinearSite[], spec: ModelSpec): readonly string[];
  /** The adapter with these options. Throws a ModelError ADAPTER_INVALID where they do not fit together. */
  create(options: Options): Adapter;
  /** Options for an `adapter_config.json` of this kind, undefined for one of another; throws on what it cannot follow. */
  fromPeft(config: Readonly<Record<string, unknown>>): Options | undefined;
}

/** The point at which plugins contribute kinds of adapters. */
export const adapters = point<AdapterContribution>('model.adapters', {
  schema: 'schema',
  create: 'function',
  fromPeft: 'function',
});
