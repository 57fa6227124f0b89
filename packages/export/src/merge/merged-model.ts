import { readRows, sizeOf, type WeightSource } from '@glulam/files';
import {
  baseTensors,
  brokenBase,
  checkAdapterValues,
  checkFiniteRows,
  checkVirtualLayers,
  describeTrained,
  gateName,
  trainedRows,
  weightName,
  weightOfSite,
  type NormSpec,
  type AdapterValues,
  type BaseTensor,
  type Checkpoint,
  type TrainedCopy,
  type TrainedValues,
  type VirtualLayer,
  type SavedAdapter,
} from '@glulam/model';
import { ExportError } from '../errors.js';
import { evaluateForm, foldBias, foldRows, type LinearChange } from './linear-change.js';

/** Rows `[start, end)` of a tensor along its first axis, as float32. */
type RowReader = (start: number, end: number) => Promise<Float32Array>;

/** A tensor of the merged model, under the name that a plain checkpoint of so many layers has for it. */
export interface MergedTensor {
  /** Such as `model.layers.7.mlp.up_proj.weight`. */
  readonly name: string;
  /** That of `source`. */
  readonly shape: readonly number[];
  /** The base's tensor that it is made of. */
  readonly source: WeightSource;
  /** What it is of the model, apart from the layer. */
  readonly role: BaseTensor['role'];
  /** The module that it is of, see `BaseTensor.module`. */
  readonly module: string;
  readonly kind: BaseTensor['kind'];
  /** undefined: of no layer. */
  readonly virtual: number | undefined;
  /** false: its values are the base's. */
  readonly changed: boolean;
  /** Opens a reader of its rows. Opening or reading throws an ExportError WEIGHT_NOT_FINITE or MERGE_IMPOSSIBLE. */
  open(): Promise<RowReader>;
}

/** A model whose virtual layers have weights of their own, all that is trained folded in. Nothing is read yet. */
export interface MergedModel {
  /** The checkpoint that it was expanded from. */
  readonly base: Checkpoint;
  /** The virtual layers; each becomes a layer of its own. */
  readonly layers: readonly VirtualLayer[];
  /** The output head is the embedding; no longer, where one of a tied pair was trained without the other. */
  readonly tiedHead: boolean;
  /** In the model's order. */
  readonly tensors: readonly MergedTensor[];
}

/** What is merged: a base, its expansion and what was trained. */
export interface MergeSource {
  /** The base. */
  readonly checkpoint: Checkpoint;
  /** The expansion. */
  readonly layers: readonly VirtualLayer[];
  /** Without one the layers are merged as they begin, untrained: gates are 0, copies the base's. */
  readonly saved?: Pick<SavedAdapter, 'adapter' | 'choice' | 'values'> | undefined;
}

/**
 * What an expanded model is as a plain one. Works from the base's spec, the virtual layers and the adapters' forms
 * alone, by rows, and needs no engine.
 *
 * @throws ExportError EXPANSION_INVALID, ADAPTER_INVALID
 */
export function describeMerged({ checkpoint, layers, saved }: MergeSource): MergedModel {
  const { spec, files } = checkpoint;
  checkVirtualLayers(layers, spec);
  const trained = describeTrained(spec, layers, saved?.adapter);
  const values: AdapterValues | undefined = saved?.values;
  if (values !== undefined) checkAdapterValues(values, trained);
  const gateOf = (virtual: number): number | undefined =>
    layers[virtual]!.gate && (values?.get(gateName(spec, virtual))?.values[0] ?? 0);
  const adapted = new Map(trained.adapted.map((each) => [each.site.path, each]));

  /** The tensor at a place as it is before an adapter's form and factors: the base's, or a copy of it. */
  const plain = ({ name, source: from, role, module, kind, virtual }: BaseTensor): MergedTensor => {
    const source = files.source(from);
    const copy = trained.copyAt.get(name);
    const read = copy === undefined ? ofBase(source) : ofCopy(copy, source, values?.get(copy.name));
    const open = (): Promise<RowReader> =>
      Promise.resolve(copy === undefined ? read : async (start, end) => checkFinite(name, await read(start, end)));
    return { name, shape: source.shape, source, role, module, kind, virtual, changed: copy !== undefined, open };
  };

  const merged = (place: BaseTensor): MergedTensor => {
    const { kind, virtual, site, name, module } = place;
    const tensor = plain(place);
    if (virtual === undefined) return tensor;
    const { blocks } = spec.layers[layers[virtual]!.physical]!;
    const ofBlock = outputFactor(layers[virtual]!, gateOf(virtual));
    if (site === undefined) {
      const norm = blocks.find(({ outputNorm }) => outputNorm?.name === module)?.outputNorm;
      if (norm === undefined || ofBlock === 1) return tensor;
      const open = async (): Promise<RowReader> => {
        const read = await tensor.open();
        return async (start, end) => checkFinite(name, scaleNorm(await read(start, end), norm, ofBlock));
      };
      return { ...tensor, changed: true, open };
    }
    // What a norm follows has no size: the norm has the factor.
    const isNormed = blocks.some(
      ({ linears, outputNorm }) => outputNorm && linears.some((each) => each.name === module),
    );
    const factor = site.writesResidual && !isNormed ? ofBlock : 1;
    // A copy began as the scaled weight.
    const baseScale = tensor.changed ? 1 : (site.scale ?? 1);
    const each = adapted.get(site.path);
    if (each?.adapter === undefined && factor === 1 && baseScale === 1) return tensor;
    const change = async (): Promise<LinearChange> => {
      if (each === undefined || values === undefined) return { factor, baseScale };
      const form = await evaluateForm(each, values, files.source(weightOfSite(spec, site)));
      if (form.bias === undefined || site.hasBias) return { ...form, factor, baseScale };
      throw new ExportError(
        'MERGE_IMPOSSIBLE',
        `the adapter adds a bias to ${site.path}, and checkpoints of ${checkpoint.config.file} have none there: ` +
          "its weights alone can be merged, so train without the adapter's bias",
      );
    };
    const open = async (): Promise<RowReader> => {
      const [read, known] = [await tensor.open(), await change()];
      if (kind === 'bias') {
        const all = checkFinite(name, foldBias(await read(0, site.outFeatures), known));
        return (start, end) => Promise.resolve(all.subarray(start, end));
      }
      return async (start, end) => {
        const rows = await read(start, end);
        foldRows(rows, start, site.inFeatures, known);
        return checkFinite(name, rows);
      };
    };
    return { ...tensor, changed: true, open };
  };

  const copyOf = ({ name }: { readonly name: string }) => trained.copyAt.get(weightName(name));
  const tiedHead = spec.head.tied && copyOf(spec.head) === copyOf(spec.embedding);
  const places = baseTensors(spec, layers).filter(({ role }) => !(tiedHead && role === 'head'));
  return { base: checkpoint, layers, tiedHead, tensors: places.map(merged) };
}

const ofBase =
  (source: WeightSource): RowReader =>
  async (start, end) =>
    checkFiniteRows(source, await readRows(source, start, end), start, brokenBase);

/** Of a trained copy, or of what it begins as. Rows are the reader's own to change. */
function ofCopy({ startScale }: TrainedCopy, base: WeightSource, trained: TrainedValues | undefined): RowReader {
  if (trained !== undefined) return (start, end) => Promise.resolve(trainedRows(trained, start, end));
  if (startScale === 1) return ofBase(base);
  const width = sizeOf(base.shape.slice(1));
  if (startScale === 0) return (start, end) => Promise.resolve(new Float32Array((end - start) * width));
  const read = ofBase(base);
  return async (start, end) => (await read(start, end)).map((value) => startScale * value);
}

/** Multiplies what a norm gives, whose weights are stored less its offset. */
const scaleNorm = (weights: Float32Array, { offset = 0 }: NormSpec, factor: number): Float32Array =>
  weights.map((weight) => (weight + offset) * factor - offset);

/** Residual scale and gate multiply what a block adds to the residual stream. */
const outputFactor = ({ residualScale = 1 }: VirtualLayer, gate = 1): number => residualScale * gate;

function checkFinite(name: string, values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new ExportError(
      'MERGE_IMPOSSIBLE',
      `${name} would hold ${values[i]} when merged, though the base is finite; look for an adapter that was trained to divergence`,
    );
  }
  return values;
}
