import type { LinearSite } from '../adapters/adapter.js';
import { linearNames, type DecoderShape, type LinearName } from '../families/family.js';
import { linearScaleOf, visits, type VirtualLayer } from '../expansion/virtual-layer.js';

/** A tensor of an expanded model whose virtual layers are told apart: a place where one of the base's is used. */
export interface BaseTensor {
  /** As a plain checkpoint of so many layers names it: `model.layers.7.mlp.up_proj.weight`. */
  readonly name: string;
  /** The base's tensor there; of several places, where a physical layer is visited again or the head is tied. */
  readonly source: string;
  /** [out, in] of a linear layer's weight, [vocabulary, hidden] of the embedding and the head, else one axis. */
  readonly shape: readonly number[];
  /** What it is of the model, apart from the layer. */
  readonly role: 'embedding' | 'head' | 'finalNorm' | 'attentionNorm' | 'mlpNorm' | LinearName;
  /** Norms have a weight only. */
  readonly kind: 'weight' | 'bias';
  /** undefined: of no layer. */
  readonly virtual: number | undefined;
  /** The linear layer that it belongs to, if any. */
  readonly site?: LinearSite;
}

/** [out, in] of a linear layer. */
function linearShape(shape: DecoderShape, linear: LinearName): readonly [number, number] {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = shape;
  switch (linear) {
    case 'self_attn.q_proj':
      return [heads * headSize, hiddenSize];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keyValueHeads * headSize, hiddenSize];
    case 'self_attn.o_proj':
      return [hiddenSize, heads * headSize];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [intermediateSize, hiddenSize];
    case 'mlp.down_proj':
      return [hiddenSize, intermediateSize];
  }
}

/** Every place of a tensor, in the model's order; a tied head is a place of its own, whose source is the embedding. */
export function baseTensors(shape: DecoderShape, layers: readonly VirtualLayer[]): BaseTensor[] {
  const { names, hiddenSize, vocabularySize } = shape;
  const visitOf = visits(layers);
  const whole = (role: BaseTensor['role'], name: string, size: readonly number[], source = name): BaseTensor => ({
    name,
    source,
    shape: size,
    role,
    kind: 'weight',
    virtual: undefined,
  });
  const ofLayer = (layer: VirtualLayer, virtual: number): BaseTensor[] => {
    const { physical } = layer;
    const [to, from] = [names.layer(virtual), names.layer(physical)];
    const norm = (role: 'attentionNorm' | 'mlpNorm'): BaseTensor => ({
      ...whole(role, `${to}.${names[role]}`, [hiddenSize], `${from}.${names[role]}`),
      virtual,
    });
    const ofLinear = (linear: LinearName): BaseTensor[] => {
      const [outFeatures, inFeatures] = linearShape(shape, linear);
      const path = `${to}.${linear}`;
      const scale = linearScaleOf(layer, linear);
      const site: LinearSite = {
        virtual,
        physical,
        visit: visitOf[virtual]!,
        linear,
        path,
        inFeatures,
        outFeatures,
        ...(scale === 1 ? {} : { scale }),
      };
      const tensor = (kind: BaseTensor['kind'], size: readonly number[]): BaseTensor => {
        return {
          name: `${path}.${kind}`,
          source: `${from}.${linear}.${kind}`,
          shape: size,
          role: linear,
          kind,
          virtual,
          site,
        };
      };
      const weight = tensor('weight', [outFeatures, inFeatures]);
      return shape.biased.includes(linear) ? [weight, tensor('bias', [outFeatures])] : [weight];
    };
    return [norm('attentionNorm'), ...linearNames.flatMap(ofLinear), norm('mlpNorm')];
  };
  return [
    whole('embedding', names.embedding, [vocabularySize, hiddenSize]),
    ...layers.flatMap(ofLayer),
    whole('finalNorm', names.finalNorm, [hiddenSize]),
    whole('head', names.head, [vocabularySize, hiddenSize], shape.tiedHead ? names.embedding : names.head),
  ];
}
