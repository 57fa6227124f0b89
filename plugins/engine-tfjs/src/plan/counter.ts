/** Bytes that are alive, and the most that were. */
export interface Counter {
  readonly live: number;
  readonly peak: number;
  take(bytes: number): void;
  give(bytes: number): void;
  /** For as long as an operation runs. */
  scratch(bytes: number): void;
  resetPeak(): void;
}

export function createCounter(): Counter {
  let live = 0;
  let peak = 0;
  return {
    get live() {
      return live;
    },
    get peak() {
      return peak;
    },
    take(bytes) {
      live += bytes;
      peak = Math.max(peak, live);
    },
    give(bytes) {
      live -= bytes;
    },
    scratch(bytes) {
      peak = Math.max(peak, live + bytes);
    },
    resetPeak() {
      peak = live;
    },
  };
}
