import type { Engine, Tensor } from '@glulam/tensors';
import type { ModelSpec, RopeSpec } from '../families/model-spec.js';

/** How positions turn into angles; see transformers' `modeling_rope_utils`. */
export type RopeSettings =
  | { readonly type: 'default'; readonly theta: number }
  | { readonly type: 'linear'; readonly theta: number; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly theta: number;
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxPositions: number;
    };

/** Angle a position, for each of dimensions / 2 pairs; rounded to float32 where the reference rounds. */
export function inverseFrequencies(settings: RopeSettings, dimensions: number): Float32Array {
  const plain = Float32Array.from(
    { length: dimensions / 2 },
    (_, i) => 1 / Math.fround(settings.theta ** Math.fround((2 * i) / dimensions)),
  );
  if (settings.type === 'default') return plain;
  if (settings.type === 'linear') return plain.map((frequency) => frequency / settings.factor);
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = settings;
  return plain.map((frequency) => {
    // Llama 3.1: long waves are stretched by the factor, short ones left, those between mixed smoothly.
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    if (turns < lowFrequencyFactor) return frequency / factor;
    if (turns > highFrequencyFactor) return frequency;
    const smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** cos and sin of every token's angles: [tokens, dimensions / 2] each. */
interface RopeTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** The tables of one pass, one for each rotary embedding that the model has. */
export interface PassRopes {
  of(rope: RopeSpec): RopeTables;
  /** Every table's tensors. */
  readonly tensors: readonly Tensor[];
  release(): void;
}

/** The rotary embeddings of a model, whose layers may have different ones, or none. */
export function openRopes(engine: Engine, { layers }: Pick<ModelSpec, 'layers'>): (positions: Int32Array) => PassRopes {
  const frequencies = new Map<string, Float32Array>();
  const keys = new Map<RopeSpec, string>();
  for (const rope of layers.flatMap(({ blocks }) => blocks.flatMap((block) => block.rope ?? []))) {
    const key = JSON.stringify([rope.settings, rope.dimensions]);
    keys.set(rope, key);
    if (!frequencies.has(key)) frequencies.set(key, inverseFrequencies(rope.settings, rope.dimensions));
  }
  return (positions) => {
    const tensors: Tensor[] = [];
    const release = (): void => tensors.forEach((tensor) => tensor.release());
    const upload = (values: Float32Array, shape: readonly number[]): Tensor => {
      const tensor = engine.upload(values, shape);
      tensors.push(tensor);
      return tensor;
    };
    try {
      const tables = new Map([...frequencies].map(([key, each]) => [key, ropeTables(upload, each, positions)]));
      return { of: (rope) => tables.get(keys.get(rope)!)!, tensors, release };
    } catch (error) {
      release();
      throw error;
    }
  };
}

function ropeTables(
  upload: (values: Float32Array, shape: readonly number[]) => Tensor,
  frequencies: Float32Array,
  positions: Int32Array,
): RopeTables {
  const half = frequencies.length;
  const cos = new Float32Array(positions.length * half);
  const sin = new Float32Array(positions.length * half);
  positions.forEach((position, token) => {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i]!);
      cos[token * half + i] = Math.cos(angle);
      sin[token * half + i] = Math.sin(angle);
    }
  });
  const shape = [positions.length, half];
  return { cos: upload(cos, shape), sin: upload(sin, shape) };
}
