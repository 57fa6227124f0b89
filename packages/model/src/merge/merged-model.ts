import { readFloats, type WeightSource } from '@glulam/tensors';
import {
  adaptSites,
  checkAdapterValues,
  gateName,
  trainedTensors,
  type AdaptedSite,
  type AdapterValues,
} from '../adapter-values.js';
import type { Checkpoint } from '../checkpoint.js';
import { ModelError } from '../errors.js';
import { linearNames, type LinearName } from '../family.js';
import { linearSites } from '../linear-sites.js';
import type { SavedAdapter } from '../peft-files.js';
import { checkVirtualLayers, type VirtualLayer } from '../virtual-layer.js';
import { evaluateForm, foldBias, foldRows, type LinearChange } from './linear-change.js';

/** Rows `[start, end)` of a tensor along its first axis, as float32. */
export type RowReader = (start: number, end: number) => Float32Array;

/** A tensor of the merged model, under the name that a plain checkpoint of so many layers has for it. */
export interface MergedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** The base's tensor that it is made of. */
  readonly source: WeightSource;
  /** What it is of the model, apart from the layer. */
  readonly role: 'embedding' | 'head' | 'finalNorm' | 'attentionNorm' | 'mlpNorm' | LinearName;
  /** undefined: of no layer. */
  readonly virtual: number | undefined;
  /** false: its values are the base's. */
  readonly changed: boolean;
  open(): Promise<RowReader>;
}

/** A model whose virtual layers have weights of their own, adapters, gates and scales folded in. Nothing is read yet. */
export interface MergedModel {
  readonly base: Checkpoint;
  readonly layers: readonly VirtualLayer[];
  /** In the model's order. */
  readonly tensors: readonly MergedTensor[];
}

export interface MergeSource {
  readonly checkpoint: Checkpoint;
  readonly layers: readonly VirtualLayer[];
  /** Without one the layers are merged as they begin, untrained: gates are 0. */
  readonly saved?: Pick<SavedAdapter, 'adapter' | 'choice' | 'values'> | undefined;
}

/**
 * What an expanded model is as a plain one. Works from the families' names, the virtual layers and the adapters' forms
 * alone, by rows, and needs no engine.
 *
 * @throws ModelError EXPANSION_INVALID, ADAPTER_INVALID
 */
export function describeMerged({ checkpoint, layers, saved }: MergeSource): MergedModel {
  const { shape, files } = checkpoint;
  const { names } = shape;
  checkVirtualLayers(layers, shape.physicalLayers);
  const adapted = adaptSites(linearSites(shape, layers), saved?.adapter);
  const trained = trainedTensors(shape, layers, adapted);
  const values: AdapterValues =
    saved?.values ?? new Map([...trained].map(([name, size]) => [name, { shape: size, values: new Float32Array(1) }]));
  checkAdapterValues(values, trained);

  const unchanged = (role: MergedTensor['role'], name: string, from = name, virtual?: number): MergedTensor => {
    const source = files.source(from);
    const open = (): Promise<RowReader> => Promise.resolve((start, end) => readFloats(source, start, end));
    return { name, shape: source.shape, source, role, virtual, changed: false, open };
  };
  const ofLinear = (each: AdaptedSite): MergedTensor[] => {
    const { site } = each;
    const { virtual, linear, path, inFeatures } = site;
    const from = `${names.layer(site.physical)}.${linear}`;
    const factor = outputFactor(linear, layers[virtual]!, values.get(gateName(shape, virtual))?.values[0]);
    const weight = unchanged(linear, `${path}.weight`, `${from}.weight`, virtual);
    const bias = shape.biased.includes(linear) ? unchanged(linear, `${path}.bias`, `${from}.bias`, virtual) : undefined;
    if (each.adapter === undefined && factor === 1) return bias === undefined ? [weight] : [weight, bias];
    const change = async (): Promise<LinearChange> => {
      const form = await evaluateForm(each, values, weight.source);
      if (form.bias === undefined || bias !== undefined) return { ...form, factor };
      throw new ModelError(
        'MERGE_IMPOSSIBLE',
        `the adapter adds a bias to ${path}, and checkpoints of ${checkpoint.config.file} have none there: ` +
          "its weights alone can be merged, so train without the adapter's bias",
      );
    };
    const opened = async (): Promise<RowReader> => {
      const known = await change();
      return (start, end) => {
        const rows = readFloats(weight.source, start, end);
        foldRows(rows, start, inFeatures, known);
        return checkFinite(`${path}.weight`, rows);
      };
    };
    const openedBias = async (): Promise<RowReader> => {
      const all = checkFinite(`${path}.bias`, foldBias(readFloats(bias!.source), await change()));
      return (start, end) => all.subarray(start, end);
    };
    return [
      { ...weight, changed: true, open: opened },
      ...(bias === undefined ? [] : [{ ...bias, changed: true, open: openedBias }]),
    ];
  };

  return {
    base: checkpoint,
    layers,
    tensors: [
      unchanged('embedding', names.embedding),
      ...layers.flatMap(({ physical }, virtual) => {
        const [to, from] = [names.layer(virtual), names.layer(physical)];
        return [
          unchanged('attentionNorm', `${to}.${names.attentionNorm}`, `${from}.${names.attentionNorm}`, virtual),
          ...adapted.slice(virtual * linearNames.length, (virtual + 1) * linearNames.length).flatMap(ofLinear),
          unchanged('mlpNorm', `${to}.${names.mlpNorm}`, `${from}.${names.mlpNorm}`, virtual),
        ];
      }),
      unchanged('finalNorm', names.finalNorm),
      ...(shape.tiedHead ? [] : [unchanged('head', names.head)]),
    ],
  };
}

/** Residual scale and gate multiply what a sub-block adds to the residual stream: the output of its last linear layer. */
function outputFactor(linear: LinearName, { residualScale = 1 }: VirtualLayer, gate = 1): number {
  return linear === 'self_attn.o_proj' || linear === 'mlp.down_proj' ? residualScale * gate : 1;
}

function checkFinite(name: string, values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new ModelError(
      'MERGE_IMPOSSIBLE',
      `${name} would hold ${values[i]} when merged; look for an adapter that was trained to divergence, or a damaged base`,
    );
  }
  return values;
}
