import { attentionOf, type AttentionSpec, type ModelSpec, type VirtualLayer } from '../src/index.js';
import { keepFactors, lowRankScale } from './tiny-adapter.js';

// An expanded Llama with the adapter of tiny-adapter.ts in plain lists of float64 numbers, one token and one head after the
// other. It shares no code with the decoder.

type Values = ReadonlyMap<string, readonly number[]>;
type Rows = number[][];

/** In the order of the keys of their random draws. */
const linearNames = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
type LinearName = (typeof linearNames)[number];

export interface NaiveModel {
  readonly spec: ModelSpec;
  readonly layers: readonly VirtualLayer[];
  /** Tensors of the base. */
  readonly base: Values;
  /** Adapters, gates and copies, as `Decoder.parameters` names them. */
  readonly trained: Values;
}

export interface NaivePass {
  readonly sequences: readonly (readonly number[])[];
  readonly training?: { readonly seed: number; readonly step: number };
}

/** Hidden states of all tokens after the last norm, sequence after sequence. */
export function naiveHidden(model: NaiveModel, pass: NaivePass): Rows {
  const { spec, layers } = model;
  const embedding = model.trained.get('model.embed_tokens.weight') ?? model.base.get('model.embed_tokens.weight')!;
  const width = spec.hiddenSize;
  let x = pass.sequences.flat().map((id) => embedding.slice(id * width, (id + 1) * width));
  layers.forEach((_, virtual) => (x = naiveLayer(model, pass, x, virtual)));
  return normed(x, model.base.get('model.norm.weight')!, spec.finalNorm.epsilon);
}

export function naiveLogits({ spec, base }: NaiveModel, hidden: Rows): Rows {
  const head = base.get(spec.head.tied ? 'model.embed_tokens.weight' : 'lm_head.weight')!;
  return hidden.map((row) => product(row, head));
}

/** Of each token the negative log likelihood of its label, 0 where that is negative. */
export function naiveLosses(model: NaiveModel, hidden: Rows, labels: readonly number[]): number[] {
  return naiveLogits(model, hidden).map((logits, token) => {
    const label = labels[token]!;
    return label < 0 ? 0 : Math.log(sum(logits.map((logit) => Math.exp(logit)))) - logits[label]!;
  });
}

function naiveLayer(model: NaiveModel, pass: NaivePass, x: Rows, virtual: number): Rows {
  const { spec, layers, base, trained } = model;
  const record = layers[virtual]!;
  const attention = attentionOf(spec.layers[record.physical]!)!;
  const { epsilon } = spec.finalNorm;
  const at = (name: string): readonly number[] | undefined =>
    trained.get(`model.layers.${virtual}.${name}`) ?? base.get(`model.layers.${record.physical}.${name}`);
  const linear = (rows: Rows, name: LinearName): Rows => naiveLinear(model, pass, rows, virtual, name, at);
  const factor = (record.residualScale ?? 1) * (record.gate === 'learned' ? at('gate')![0]! : 1);
  const added = (to: Rows, rows: Rows): Rows =>
    to.map((row, token) => row.map((value, i) => value + factor * rows[token]![i]!));

  const input = normed(x, at('input_layernorm.weight')!, epsilon);
  const [q, k, v] = (['q', 'k', 'v'] as const).map((name) => linear(input, `self_attn.${name}_proj`)) as [
    Rows,
    Rows,
    Rows,
  ];
  const mixed: Rows = [];
  let start = 0;
  for (const { length } of pass.sequences) {
    const own = (rows: Rows): Rows => rows.slice(start, start + length);
    mixed.push(...naiveAttention(attention, own(q), own(k), own(v)));
    start += length;
  }
  const attended = added(x, linear(mixed, 'self_attn.o_proj'));
  const inner = normed(attended, at('post_attention_layernorm.weight')!, epsilon);
  const [gate, up] = [linear(inner, 'mlp.gate_proj'), linear(inner, 'mlp.up_proj')];
  const activated = gate.map((row, token) => row.map((value, i) => (value / (1 + Math.exp(-value))) * up[token]![i]!));
  return added(attended, linear(activated, 'mlp.down_proj'));
}

/** outScale * (factor W (inScale * x) + scale * B A dropout(x)) + biasScale * factor b + added, or o_proj's own. */
function naiveLinear(
  { layers }: NaiveModel,
  { training }: NaivePass,
  x: Rows,
  virtual: number,
  linear: LinearName,
  at: (name: string) => readonly number[] | undefined,
): Rows {
  const record = layers[virtual]!;
  const factor = record.weights === 'own' ? 1 : (record.linearScales?.[linear] ?? 1);
  const member = (name: string): readonly number[] | undefined => at(`${linear}.${name}`);
  const [weight, bias, addedBias] = [member('weight')!, member('bias'), member('added')];
  const [A, B, inScale, outScale] = ['A', 'B', 'inScale', 'outScale'].map(member);
  const [biasScale, magnitude] = ['biasScale', 'magnitude'].map(member);
  const key = training && ([training.seed, training.step, virtual, linearNames.indexOf(linear)] as const);
  const kept = keepFactors(x.length * x[0]!.length, linear, key);
  return x.map((row, token) => {
    const scaled = row.map((value, i) => factor * value * (inScale?.[i] ?? 1));
    const dropped = row.map((value, i) => value * kept[token * row.length + i]!);
    const low = A && B && product(product(dropped, A), B);
    return product(scaled, weight).map((value, i) => {
      const inner = (value + lowRankScale * (low?.[i] ?? 0)) * (1 + (magnitude?.[i] ?? 0));
      return inner * (outScale?.[i] ?? 1) + (biasScale?.[i] ?? 1) * factor * (bias?.[i] ?? 0) + (addedBias?.[i] ?? 0);
    });
  });
}

function naiveAttention(attention: AttentionSpec, q: Rows, k: Rows, v: Rows): Rows {
  const { heads, keyValueHeads, headSize, window } = attention;
  const part = (row: readonly number[], head: number): number[] => row.slice(head * headSize, (head + 1) * headSize);
  return q.map((row, position) =>
    Array.from({ length: heads }, (_, head) => {
      const shared = Math.floor((head * keyValueHeads) / heads);
      const first = window === 0 ? 0 : Math.max(0, position - window + 1);
      const seen = Array.from({ length: position - first + 1 }, (_, i) => first + i);
      const query = rotated(attention, part(row, head), position);
      const powers = seen.map((key) => {
        const other = rotated(attention, part(k[key]!, shared), key);
        return Math.exp(sum(query.map((value, i) => value * other[i]!)) / Math.sqrt(headSize));
      });
      return part(row, head).map(
        (_, i) => sum(seen.map((key, j) => powers[j]! * part(v[key]!, shared)[i]!)) / sum(powers),
      );
    }).flat(),
  );
}

function rotated({ rope, headSize }: AttentionSpec, x: readonly number[], position: number): number[] {
  const half = headSize / 2;
  return x.map((value, i) => {
    const angle = position / rope!.settings.theta ** ((2 * (i % half)) / headSize);
    const pair = i < half ? -x[i + half]! : x[i - half]!;
    return value * Math.cos(angle) + pair * Math.sin(angle);
  });
}

function normed(x: Rows, weight: readonly number[], epsilon: number): Rows {
  return x.map((row) => {
    const root = Math.sqrt(sum(row.map((value) => value ** 2)) / row.length + epsilon);
    return row.map((value, i) => (value / root) * weight[i]!);
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** W x, W [out, in]. */
const product = (x: readonly number[], weight: readonly number[]): number[] =>
  Array.from({ length: weight.length / x.length }, (_, row) =>
    sum(x.map((value, i) => value * weight[row * x.length + i]!)),
  );
