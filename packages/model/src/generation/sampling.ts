import { ModelError } from '../errors.js';

/** How the next token is chosen. The names and their order of application (temperature, top-k, top-p) are transformers'. */
export interface SamplingOptions {
  /** Divides the logits; 0, the default, takes the most likely token each time. */
  readonly temperature?: number | undefined;
  /** Draw only from the k most likely tokens (tokens that tie with the k-th stay in); default all. */
  readonly topK?: number | undefined;
  /** Draw only from the fewest tokens whose probabilities reach p together, in (0, 1]; default all. */
  readonly topP?: number | undefined;
  /** Default 0. The same seed and logits give the same tokens. */
  readonly seed?: number | undefined;
}

/** Chooses the next token of a sequence. */
export interface Sampler {
  /**
   * The next token's id.
   *
   * @param logits one row, [vocabulary]; -Infinity excludes a token. Not changed.
   * @param position the token's place in its sequence: with the seed it keys the random draw, so a sequence that is
   *   taken up again in the middle goes on as before
   * @throws ModelError GENERATION_INVALID if the logits hold NaN or no finite largest value
   */
  pick(logits: Float32Array, position: number): number;
}

/**
 * Chooses tokens from logits: greedy, or a seeded draw with temperature, top-k and nucleus (top-p, Holtzman et al.
 * 2020, arXiv:1904.09751) as in transformers' logits warpers.
 *
 * @throws ModelError GENERATION_INVALID naming every option that cannot be used
 */
export function createSampler(options: SamplingOptions = {}): Sampler {
  const { temperature = 0, topK, topP, seed = 0 } = options;
  const faults: string[] = [];
  const check = (name: string, value: number, valid: boolean, expected: string): void => {
    if (!valid) faults.push(`${name}: got ${value}, expected ${expected}`);
  };
  check('temperature', temperature, temperature >= 0 && temperature < Infinity, 'a number of at least 0 (0 is greedy)');
  if (topK !== undefined) check('topK', topK, Number.isSafeInteger(topK) && topK >= 1, 'a whole number of at least 1');
  if (topP !== undefined) check('topP', topP, topP > 0 && topP <= 1, 'a number above 0 and at most 1');
  check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number from 0 to 2^53 - 1');
  if (faults.length > 0) {
    throw new ModelError('GENERATION_INVALID', `The sampling options cannot be used:\n  ${faults.join('\n  ')}`);
  }

  return {
    pick(logits, position) {
      const greedy = argmax(logits);
      if (temperature === 0) return greedy;
      const largest = logits[greedy]!;
      const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
      const ids = candidates(logits, weights, topK, topP);
      return draw(ids, weights, uniform01(seed, position));
    },
  };
}

/** The first of the largest. */
function argmax(logits: Float32Array): number {
  let best = -1;
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > largest) {
      largest = logit;
      best = id;
    } else if (Number.isNaN(logit)) {
      throw new ModelError(
        'GENERATION_INVALID',
        `The logit of token ${id} is NaN, expected a number. The model's arithmetic broke down: look for an adapter ` +
          'trained to divergence, or run with precision float32.',
      );
    }
  }
  if (best < 0 || largest === Infinity) {
    throw new ModelError(
      'GENERATION_INVALID',
      `The largest of ${logits.length} logits is ${largest}, expected a finite number: no token can be chosen.`,
    );
  }
  return best;
}

/** Ids that may be drawn: all in order, or the likely ones, most likely first. */
function candidates(
  logits: Float32Array,
  weights: Float64Array,
  topK: number | undefined,
  topP: number | undefined,
): Uint32Array {
  let ids = Uint32Array.from(logits.keys());
  if (topK !== undefined && topK < logits.length) {
    const least = logits.slice().sort()[logits.length - topK]!;
    ids = ids.filter((id) => logits[id]! >= least);
  }
  if (topP === undefined || topP === 1) return ids;
  ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  const target = topP * sum(ids, weights);
  let reached = 0;
  let kept = 0;
  // The token that crosses p stays in, so there is always one.
  while (kept < ids.length && (kept === 0 || reached < target)) reached += weights[ids[kept++]!]!;
  return ids.subarray(0, kept);
}

function draw(ids: Uint32Array, weights: Float64Array, uniform: number): number {
  const target = uniform * sum(ids, weights);
  let reached = 0;
  let last = ids[0]!;
  for (const id of ids) {
    if (weights[id] === 0) continue;
    last = id;
    reached += weights[id]!;
    if (reached > target) break;
  }
  return last;
}

function sum(ids: Uint32Array, weights: Float64Array): number {
  let total = 0;
  for (const id of ids) total += weights[id]!;
  return total;
}

// splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"): its finalizer scrambles the
// seed into the start of a stream, and the position counts along it, so any position is reached directly.
const GOLDEN = 0x9e3779b97f4a7c15n;

function mix64(value: bigint): bigint {
  let z = BigInt.asUintN(64, value);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** A number in [0, 1) of 53 random bits, keyed by two whole numbers. */
function uniform01(seed: number, position: number): number {
  const bits = mix64(mix64(BigInt(seed) + GOLDEN) + (BigInt(position) + 1n) * GOLDEN);
  return Number(bits >> 11n) / 2 ** 53;
}
