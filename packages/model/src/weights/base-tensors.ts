import type { LinearSite } from '../adapters/adapter.js';
import { ModelError } from '../errors.js';
import { layerPath, linearsOf, normsOf, weightName, type LinearSpec, type ModelSpec } from '../families/model-spec.js';
import { linearScaleOf, missingLayer, usesOf, type VirtualLayer } from '../expansion/virtual-layer.js';

/** A tensor of an expanded model whose virtual layers are told apart: a place where one of the base's is used. */
export interface BaseTensor {
  /** As a plain checkpoint of so many layers names it: `model.layers.7.mlp.up_proj.weight`. */
  readonly name: string;
  /** The base's tensor there; of several places, where a physical layer is used again or the head is tied. */
  readonly source: string;
  /** [out, in] of a linear layer's weight, [vocabulary, hidden] of the embedding and the head, else one axis. */
  readonly shape: readonly number[];
  /** What it is of the model, apart from the layer. */
  readonly role: 'embedding' | 'head' | 'finalNorm' | 'norm' | 'vector' | 'linear';
  /** The module that it is of: below its layer (`mlp.up_proj`), or whole where it is of none. Of a vector, its own name. */
  readonly module: string;
  /** Only linear layers have biases. */
  readonly kind: 'weight' | 'bias';
  /** undefined: of no layer. */
  readonly virtual: number | undefined;
  /** The linear layer that it belongs to, if any. */
  readonly site?: LinearSite;
}

/**
 * Every place of a tensor, in the model's order; a tied head is a place of its own, whose source is the embedding.
 *
 * @throws ModelError EXPANSION_INVALID if a layer is not of the base
 */
export function baseTensors(spec: ModelSpec, layers: readonly VirtualLayer[]): BaseTensor[] {
  const { hiddenSize, vocabularySize, embedding, finalNorm, head } = spec;
  const uses = usesOf(layers);
  const whole = (role: BaseTensor['role'], module: string, shape: readonly number[], source = module): BaseTensor => ({
    name: weightName(module),
    source: weightName(source),
    shape,
    role,
    module,
    kind: 'weight',
    virtual: undefined,
  });
  const ofLayer = (layer: VirtualLayer, virtual: number): BaseTensor[] => {
    const { physical } = layer;
    const layerSpec = spec.layers[physical];
    if (layerSpec === undefined) throw new ModelError('EXPANSION_INVALID', missingLayer(virtual, physical, spec));
    const [to, from] = [layerPath(spec, virtual), layerPath(spec, physical)];
    const vector = (role: 'norm' | 'vector', module: string, below: string, size: number): BaseTensor => ({
      name: `${to}.${below}`,
      source: `${from}.${below}`,
      shape: [size],
      role,
      module,
      kind: 'weight',
      virtual,
    });
    const ofLinear = (linear: LinearSpec, index: number): BaseTensor[] => {
      const { name, inFeatures, outFeatures, bias, writesResidual } = linear;
      const path = `${to}.${name}`;
      const scale = linearScaleOf(layer, name);
      const site: LinearSite = {
        virtual,
        physical,
        use: uses[virtual]!,
        linear: name,
        index,
        path,
        inFeatures,
        outFeatures,
        hasBias: bias,
        writesResidual,
        ...(scale === 1 ? {} : { scale }),
      };
      const tensor = (kind: BaseTensor['kind'], shape: readonly number[]): BaseTensor => ({
        name: `${path}.${kind}`,
        source: `${from}.${name}.${kind}`,
        shape,
        role: 'linear',
        module: name,
        kind,
        virtual,
        site,
      });
      const weight = tensor('weight', [outFeatures, inFeatures]);
      return bias ? [weight, tensor('bias', [outFeatures])] : [weight];
    };
    // The first norm, then all linear layers: sums over the trained tensors depend on the order.
    const [norm, ...norms] = normsOf(layerSpec, hiddenSize).map(({ norm: { name }, size }) =>
      vector('norm', name, weightName(name), size),
    );
    const vectors = layerSpec.blocks.flatMap((block) =>
      (block.vectors ?? []).map(({ name, size }) => vector('vector', name, name, size)),
    );
    return [...(norm ? [norm] : []), ...linearsOf(layerSpec).flatMap(ofLinear), ...norms, ...vectors];
  };
  return [
    whole('embedding', embedding.name, [vocabularySize, hiddenSize]),
    ...layers.flatMap(ofLayer),
    whole('finalNorm', finalNorm.name, [hiddenSize]),
    whole('head', head.name, [vocabularySize, hiddenSize], head.tied ? embedding.name : head.name),
  ];
}
