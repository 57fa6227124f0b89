import { scope, type Engine, type FrozenWeight, type Tensor } from '@glulam/tensors';
import type { BaseWeights } from './base-weights.js';
import type { Checkpoint } from './checkpoint.js';
import { layerPath, linearsOf, normsOf, weightName, type NormSpec } from '../families/model-spec.js';
import type { TrainedCopy } from '../adapters/trained-tensors.js';
import { linearScaleOf, type VirtualLayer } from '../expansion/virtual-layer.js';

/**
 * The weights that a virtual layer computes with: the base's, which all uses share, or trained copies (tensors). Biases
 * are scaled as the layer says; weights that are not copies are the base's own.
 */
interface LayerWeights {
  /** By the norms' module paths below the layer. */
  readonly norms: ReadonlyMap<string, NormWeight>;
  /** By the linear layers' names. */
  readonly linears: ReadonlyMap<string, { readonly weight: FrozenWeight | Tensor; readonly bias: Tensor | undefined }>;
  /** Those of a family's own blocks, by their names. */
  readonly vectors: ReadonlyMap<string, Tensor>;
  /** The copies among them. */
  readonly copies: readonly Tensor[];
}

/** What a norm multiplies with: the tensor, plus an offset where that is not in it yet, as of a trained copy. */
export interface NormWeight {
  readonly tensor: Tensor;
  readonly offset: number;
}

export interface ModelWeights {
  readonly embedding: FrozenWeight | Tensor;
  readonly head: FrozenWeight | Tensor;
  readonly finalNorm: NormWeight;
  layer(record: VirtualLayer, virtual: number): LayerWeights;
}

/**
 * Weights by their places in the expanded model. A tensor of the base is one weight, however many places it has.
 *
 * @param opened has the weights of all places without a copy
 * @param copyAt the trained copy at a place, see `TrainedTensors.copyAt`
 * @param hold keeps what is read of the base
 */
export function openWeights(
  engine: Engine,
  opened: BaseWeights,
  { spec }: Pick<Checkpoint, 'spec'>,
  copyAt: (place: string) => Tensor | undefined,
  hold: (tensor: Tensor) => Tensor,
): ModelWeights {
  const names = {
    embedding: weightName(spec.embedding.name),
    finalNorm: weightName(spec.finalNorm.name),
    head: weightName(spec.head.name),
  };
  const frozen = (name: string): FrozenWeight => opened.get(name);
  const vector = once((name) => {
    const weight = frozen(name);
    return hold(engine.readWeight(weight, 0, weight.shape[0]!));
  });
  const scaled = once((key) => {
    const [factor, name] = JSON.parse(key) as [number, string];
    return hold(engine.affine(vector(name), factor, 0));
  });
  const scaledVector = (factor: number) =>
    factor === 1 ? vector : (name: string) => scaled(JSON.stringify([factor, name]));
  const shifted = once((key) => {
    const [offset, name] = JSON.parse(key) as [number, string];
    return hold(engine.affine(vector(name), 1, offset));
  });
  const normWeight = ({ offset = 0 }: NormSpec, name: string, copy: Tensor | undefined): NormWeight => {
    if (copy !== undefined) return { tensor: copy, offset };
    return { tensor: offset === 0 ? vector(name) : shifted(JSON.stringify([offset, name])), offset: 0 };
  };
  return {
    embedding: copyAt(names.embedding) ?? frozen(names.embedding),
    head: copyAt(names.head) ?? frozen(spec.head.tied ? names.embedding : names.head),
    finalNorm: normWeight(spec.finalNorm, names.finalNorm, copyAt(names.finalNorm)),
    layer(record, virtual) {
      const { physical } = record;
      const copies: Tensor[] = [];
      const copyOf = (below: string): Tensor | undefined => {
        const copy = copyAt(`${layerPath(spec, virtual)}.${below}`);
        if (copy !== undefined) copies.push(copy);
        return copy;
      };
      const nameOf = (below: string): string => `${layerPath(spec, physical)}.${below}`;
      const at = <T>(open: (name: string) => T, below: string): T | Tensor => copyOf(below) ?? open(nameOf(below));
      const { blocks } = spec.layers[physical]!;
      const linears = linearsOf({ blocks }).map(({ name, bias }) => {
        const weight = at(frozen, weightName(name));
        const scaledBias = scaledVector(linearScaleOf(record, name));
        return [name, { weight, bias: bias ? at(scaledBias, `${name}.bias`) : undefined }] as const;
      });
      const vectors = blocks.flatMap((block) => block.vectors ?? []);
      return {
        norms: new Map(
          normsOf({ blocks }, spec.hiddenSize).map(({ norm }) => {
            const below = weightName(norm.name);
            return [norm.name, normWeight(norm, nameOf(below), copyOf(below))];
          }),
        ),
        linears: new Map(linears),
        vectors: new Map(vectors.map(({ name }) => [name, at(vector, name)])),
        copies,
      };
    },
  };
}

/** So many elements of the base are read at a time. */
const blockElements = 2 ** 20;

/** A copy's first values. By blocks, and never a weight whole: some engines keep for good what is read whole. */
export function readCopy(engine: Engine, opened: BaseWeights, copy: TrainedCopy): Tensor {
  const { shape, source, startScale } = copy;
  return scope(() => {
    const target = engine.full(shape, 0);
    if (startScale === 0) return target;
    const weight = opened.get(source);
    const rows = shape[0]!;
    const step = Math.max(1, Math.min(Math.floor((blockElements * rows) / target.size), Math.ceil(rows / 2)));
    const rest = shape.slice(1).map(() => 0);
    for (let start = 0; start < rows; start += step)
      scope(() => {
        const some = engine.readWeight(weight, start, Math.min(rows, start + step));
        engine.write(target, startScale === 1 ? some : engine.affine(some, startScale, 0), [start, ...rest]);
      });
    return target;
  });
}

function once<T>(make: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    if (!known.has(name)) known.set(name, make(name));
    return known.get(name)!;
  };
}
