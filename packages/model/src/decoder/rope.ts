import type { Engine, Tensor } from '@glulam/tensors';

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

/** Angle a position, for each of headSize / 2 pairs; rounded to float32 where the reference rounds. */
export function inverseFrequencies(settings: RopeSettings, headSize: number): Float32Array {
  const plain = Float32Array.from(
    { length: headSize / 2 },
    (_, i) => 1 / Math.fround(settings.theta ** Math.fround((2 * i) / headSize)),
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

/** cos and sin of every token's angles: [tokens, headSize / 2] each. */
export function ropeTables(
  engine: Engine,
  frequencies: Float32Array,
  positions: Int32Array,
): { readonly cos: Tensor; readonly sin: Tensor } {
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
  return { cos: engine.upload(cos, shape), sin: engine.upload(sin, shape) };
}
