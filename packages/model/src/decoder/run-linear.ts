import type { DType } from '@glulam/files';
import { Tensor, type LinearForm, type Operations } from '@glulam/tensors';
import type { AdapterForm, FormContext } from '../adapters/adapter.js';
import type { BaseWeights } from '../weights/base-weights.js';
import type { PassOptions } from './decoder.js';
import type { AdaptedLinear, FrozenScale, Linear } from './layer.js';

/** What linear layers run with. */
interface LinearContext {
  readonly ops: Operations;
  /** Frozen weights as adapters may know them. */
  readonly rows: BaseWeights['rows'];
}

/** A linear layer with its adapter, x [tokens, in] to [tokens, out]. */
export function runLinear(
  { ops, rows }: LinearContext,
  input: Tensor,
  { spec: { name }, index, weight, bias, adapted, scale }: Linear,
  { layer, visit }: { readonly layer: number; readonly visit: number },
  output: DType,
  { training, forms, reference = false }: PassOptions,
): Tensor {
  if (weight instanceof Tensor) return ops.linear(input, weight, bias, output);
  const known = reference ? undefined : forms?.get(layer, name);
  if (known !== undefined) return ops.frozenLinear(input, weight, known, output);
  if (adapted === undefined || reference)
    return ops.frozenLinear(input, weight, withScale(ops, { bias }, scale), output);
  const { adapter } = adapted;
  const tensors = wholeTensors(ops, adapted);
  const context: FormContext = {
    ops,
    training: training !== undefined,
    key: [training?.seed ?? 0, training?.step ?? 0, visit, index],
    frozen: rows.of(weight, scale?.factor),
  };
  const applied = adapter.apply?.(input, tensors, {
    ...context,
    linear: (x, form) => ops.frozenLinear(x, weight, withScale(ops, form, scale), 'float32'),
  });
  if (applied !== undefined) return ops.cast(bias === undefined ? applied : ops.add(applied, bias), output);
  const form = withScale(ops, withBias(ops, adapter.form(tensors, context), bias), scale);
  forms?.keep(layer, name, form);
  return ops.frozenLinear(input, weight, form, output);
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
