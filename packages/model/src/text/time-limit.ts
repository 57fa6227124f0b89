import vm from 'node:vm';

/** A match took more time than it may. */
export class OutOfTime extends Error {
  /** As stack traces show the class. */
  override readonly name = 'OutOfTime';
  /** The limit that was exceeded, in milliseconds of the processor. */
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`it takes more than ${milliseconds} ms`);
    this.milliseconds = milliseconds;
  }
}

/** Bounds the time of regular expressions from other people's files. */
export interface TimeLimit {
  /**
   * Runs what matches a text of this many characters.
   *
   * @param run is stopped anywhere, without its `finally` blocks, and may run again: it must not change what others read
   * @throws OutOfTime
   */
  run<T>(length: number, run: () => T): T;
}

/** Milliseconds of the processor that a match may take. */
const most = 1000;
/** What a text may take in addition. The patterns of GPT-2, Llama 3 and Qwen took less than 0.0001 ms a character. */
const allowed = (length: number): number => 1 + length / 100;
/** What remains for a text after others took too long. */
const least = 50;

/**
 * A limit for one pattern, or for all of a file: a second, and 10 ms for every 1,000 characters. Whatever texts take beyond
 * these 10 ms adds up, so many slow matches are stopped as one very slow match is.
 */
export function createTimeLimit(): TimeLimit {
  let spent = 0;
  return {
    run(length, run) {
      if (isLimited) return run();
      const limit = Math.ceil(most + allowed(length));
      const from = spent;
      for (;;) {
        const time = performance.now();
        const processor = process.cpuUsage();
        const result = stopAfter(limit - spent, run);
        const { user, system } = process.cpuUsage(processor);
        // A process that was suspended, or shared a busy processor, did not use the time that passed.
        spent += Math.min(performance.now() - time, (user + system) / 1000);
        if (!result.stopped) {
          spent = Math.min(Math.max(0, spent - allowed(length)), most - least);
          return result.value;
        }
        if (spent - from < (limit - from) / 2) continue;
        spent = most - least;
        throw new OutOfTime(limit);
      }
    },
  };
}

/**
 * Runs what has many matches, each with a limit of its own, under one limit, because setting a limit costs 40 µs. Where that
 * is reached `run` starts again, with the limits of the single matches.
 */
export function underOneLimit<T>(run: () => T): T {
  if (isLimited) return run();
  const result = stopAfter(most, run);
  return result.stopped ? run() : result.value;
}

const script = new vm.Script('run()');
let context: vm.Context | undefined;
let isLimited = false;

/** What `stopAfter` ran returned, or that it was stopped before. */
export type Stopped<T> = { readonly stopped: false; readonly value: T } | { readonly stopped: true };

/**
 * Runs something for a time at most, as it passes on the clock. V8 stops even a regular expression, but only in what `vm` runs.
 * Within another limit that one counts alone.
 *
 * @param run as in `TimeLimit.run`
 */
export function stopAfter<T>(milliseconds: number, run: () => T): Stopped<T> {
  if (isLimited) return { stopped: false, value: run() };
  context ??= vm.createContext({});
  context['run'] = run;
  isLimited = true;
  try {
    const timeout = Math.max(1, Math.ceil(milliseconds));
    return { stopped: false, value: script.runInContext(context, { timeout, displayErrors: false }) as T };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return { stopped: true };
    throw error;
  } finally {
    isLimited = false;
    context['run'] = undefined;
  }
}
