import type { Engine, Tensor } from '@glulam/tensors';
import { ModelError } from '../errors.js';
import type { TokenBatch } from './batch.js';
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
    }
  | {
      readonly type: 'yarn';
      readonly theta: number;
      readonly factor: number;
      readonly originalMaxPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the ramp begins and ends at whole dimensions. */
      readonly truncate: boolean;
      /** Multiplies cos and sin. */
      readonly attentionFactor: number;
    }
  | {
      readonly type: 'longrope';
      readonly theta: number;
      /** Of each pair, where the sequence has at most `originalMaxPositions` tokens. */
      readonly shortFactor: readonly number[];
      /** Of each pair, where it is longer. */
      readonly longFactor: readonly number[];
      readonly originalMaxPositions: number;
      /** Multiplies cos and sin. */
      readonly attentionFactor: number;
    }
  | {
      readonly type: 'dynamic';
      readonly theta: number;
      readonly factor: number;
      /** The length from which theta grows with the sequence. */
      readonly maxPositions: number;
    };

/**
 * Sequences of one era have the same angles. With `longrope` and `dynamic` a token's angles follow from the length of the
 * whole sequence, and keys from before it grew into another era must be computed again.
 */
export function ropeEra(settings: RopeSettings, length: number): number {
  if (settings.type === 'longrope') return length > settings.originalMaxPositions ? 1 : 0;
  if (settings.type === 'dynamic') return length > settings.maxPositions ? length : 0;
  return 0;
}

/** Angle a position, for each of dimensions / 2 pairs; rounded to float32 where the reference rounds. `length`: see `ropeEra`. */
export function inverseFrequencies(settings: RopeSettings, dimensions: number, length = 0): Float32Array {
  const era = ropeEra(settings, length);
  const theta =
    settings.type === 'dynamic' && era > 0
      ? settings.theta *
        ((settings.factor * length) / settings.maxPositions - (settings.factor - 1)) ** (dimensions / (dimensions - 2))
      : settings.theta;
  const plain = Float32Array.from(
    { length: dimensions / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / dimensions)),
  );
  if (settings.type === 'default' || settings.type === 'dynamic') return plain;
  if (settings.type === 'linear') return plain.map((frequency) => frequency / settings.factor);
  if (settings.type === 'longrope') {
    const factors = era > 0 ? settings.longFactor : settings.shortFactor;
    return plain.map((frequency, i) => frequency / factors[i]!);
  }
  const { factor, originalMaxPositions } = settings;
  if (settings.type === 'yarn') {
    // The dimension that turns so often within the original length.
    const dimensionOf = (turns: number): number =>
      (dimensions * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(settings.theta));
    const { truncate, betaFast, betaSlow } = settings;
    const low = Math.max(0, truncate ? Math.floor(dimensionOf(betaFast)) : dimensionOf(betaFast));
    const high = Math.min(dimensions - 1, truncate ? Math.ceil(dimensionOf(betaSlow)) : dimensionOf(betaSlow));
    return plain.map((frequency, i) => {
      const ramp = Math.min(1, Math.max(0, (i - low) / (high === low ? 0.001 : high - low)));
      return (frequency * ramp) / factor + frequency * (1 - ramp);
    });
  }
  const { lowFrequencyFactor, highFrequencyFactor } = settings;
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

/** Every rotary embedding that the model has. */
const ropesOf = ({ layers }: Pick<ModelSpec, 'layers'>): RopeSpec[] =>
  layers.flatMap(({ blocks }) => blocks.flatMap((block) => block.rope ?? []));

/** The era of a sequence of this length in all of the model's rotary embeddings; see `ropeEra`. */
export function sequenceEra(spec: Pick<ModelSpec, 'layers'>, length: number): string {
  const settings = new Set(ropesOf(spec).map((rope) => rope.settings));
  return [...settings].map((each) => ropeEra(each, length)).join(' ');
}

/** The rotary embeddings of a model, whose layers may have different ones, or none. */
export function openRopes(
  engine: Engine,
  spec: Pick<ModelSpec, 'layers'>,
): (batch: Pick<TokenBatch, 'positions' | 'segments' | 'keyRows' | 'lengths'>) => PassRopes {
  const settings = new Map<string, RopeSpec>();
  const keys = new Map<RopeSpec, string>();
  for (const rope of ropesOf(spec)) {
    const key = JSON.stringify([rope.settings, rope.dimensions]);
    keys.set(rope, key);
    if (!settings.has(key)) settings.set(key, rope);
  }
  const frequenciesOf = new Map<string, Float32Array>();
  const frequencies = (key: string, rope: RopeSpec, length: number): Float32Array => {
    const era = `${key} ${ropeEra(rope.settings, length)}`;
    let known = frequenciesOf.get(era);
    if (known === undefined) {
      // With `dynamic` every length is an era of its own: what is kept must not grow with a text.
      if (rope.settings.type === 'dynamic') frequenciesOf.clear();
      frequenciesOf.set(era, (known = inverseFrequencies(rope.settings, rope.dimensions, length)));
    }
    return known;
  };
  return ({ positions, segments, keyRows, lengths: given }) => {
    const lengths = segments.map(
      ({ queryStart, queryLength }, i) => given?.[i] ?? positions[queryStart + queryLength - 1]! + 1,
    );
    const parts = segments.map(({ queryStart, queryLength }, i) => ({
      positions: positions.subarray(queryStart, queryStart + queryLength),
      length: lengths[i]!,
    }));
    if (keyRows !== undefined && new Set(lengths.map((length) => sequenceEra(spec, length))).size > 1)
      throw new ModelError(
        'BAD_ARGUMENT',
        `the batch shares tokens between sequences of ${lengths.join(', ')} tokens, and the model's rotary embedding turns a token by the length of its whole sequence; expected sequences that share none`,
      );
    const tensors: Tensor[] = [];
    const release = (): void => tensors.forEach((tensor) => tensor.release());
    const upload = (values: Float32Array, shape: readonly number[]): Tensor => {
      const tensor = engine.upload(values, shape);
      tensors.push(tensor);
      return tensor;
    };
    try {
      const tables = new Map(
        [...settings].map(([key, rope]) => {
          const factor = 'attentionFactor' in rope.settings ? rope.settings.attentionFactor : 1;
          const all = parts.map((part) => ({ ...part, frequencies: frequencies(key, rope, part.length) }));
          return [key, ropeTables(upload, all, rope.dimensions / 2, factor)];
        }),
      );
      return { of: (rope) => tables.get(keys.get(rope)!)!, tensors, release };
    } catch (error) {
      release();
      throw error;
    }
  };
}

function ropeTables(
  upload: (values: Float32Array, shape: readonly number[]) => Tensor,
  parts: readonly { readonly positions: Int32Array; readonly frequencies: Float32Array }[],
  half: number,
  factor: number,
): RopeTables {
  const tokens = parts.reduce((sum, { positions }) => sum + positions.length, 0);
  const cos = new Float32Array(tokens * half);
  const sin = new Float32Array(tokens * half);
  let at = 0;
  for (const { positions, frequencies } of parts)
    for (const position of positions)
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * frequencies[i]!);
        cos[at] = Math.cos(angle) * factor;
        sin[at++] = Math.sin(angle) * factor;
      }
  return { cos: upload(cos, [tokens, half]), sin: upload(sin, [tokens, half]) };
}
