/** Python's `random.Random(seed)`, as far as the harness draws from it, value for value (CPython 3.11 and newer). */
export interface PythonRandom {
  /** A whole number below `limit`: `randrange(limit)`. */
  below(limit: number): number;
  /** `sample(range(count), size)` */
  sample(count: number, size: number): number[];
  /** `shuffle(list)`, in place. */
  shuffle<T>(list: T[]): void;
}

const words = 624;

/** MT19937 (Matsumoto and Nishimura 1998), seeded from whole numbers of 0 and above as CPython's `init_by_array` does. */
function createTwister(seed: number): () => number {
  const state = new Uint32Array(words);
  state[0] = 19650218;
  for (let i = 1; i < words; i++) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(1812433253, before) + i;
  }
  const key = [seed >>> 0, ...(seed >= 2 ** 32 ? [Math.floor(seed / 2 ** 32)] : [])];
  let i = 1;
  const wrap = (): void => {
    i += 1;
    if (i < words) return;
    state[0] = state[words - 1]!;
    i = 1;
  };
  for (let step = 0, j = 0; step < words; step++, j = (j + 1) % key.length) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = (state[i]! ^ Math.imul(before, 1664525)) + key[j]! + j;
    wrap();
  }
  for (let step = 0; step < words - 1; step++) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = (state[i]! ^ Math.imul(before, 1566083941)) - i;
    wrap();
  }
  state[0] = 0x80000000;

  let next = words;
  const twist = (): void => {
    for (let k = 0; k < words; k++) {
      const y = (state[k]! & 0x80000000) | (state[(k + 1) % words]! & 0x7fffffff);
      state[k] = state[(k + 397) % words]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    next = 0;
  };
  return () => {
    if (next >= words) twist();
    let y = state[next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  };
}

/** Python's generator of a seed, a whole number of at least 0. */
export function createPythonRandom(seed: number): PythonRandom {
  const word = createTwister(seed);
  const below = (limit: number): number => {
    // As many bits as the limit has, drawn again until they are below it.
    const bits = 32 - Math.clz32(limit);
    for (;;) {
      const value = word() >>> (32 - bits);
      if (value < limit) return value;
    }
  };
  return {
    below,
    sample(count, size) {
      // CPython picks from a list where that takes less memory than a set of what was picked, and the draws differ.
      const setSize = 21 + (size > 5 ? 4 ** Math.ceil(Math.log(size * 3) / Math.log(4)) : 0);
      if (count <= setSize) {
        const pool = Array.from({ length: count }, (_, i) => i);
        return Array.from({ length: size }, (_, i) => {
          const at = below(count - i);
          const picked = pool[at]!;
          pool[at] = pool[count - i - 1]!;
          return picked;
        });
      }
      const picked = new Set<number>();
      while (picked.size < size) picked.add(below(count));
      return [...picked];
    },
    shuffle(list) {
      for (let i = list.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [list[i], list[j]] = [list[j]!, list[i]!];
      }
    },
  };
}
