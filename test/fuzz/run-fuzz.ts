import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { createRandom, type Random } from './mutate.js';

/** How many inputs a reader gets: 1,000, or as `npm run fuzz` says. */
export const fuzzInputs = Number(process.env['GLULAM_FUZZ'] ?? 1000);

export interface FuzzOptions {
  /** Reads one damaged input; throws or rejects where the reader refuses it. Checks what is accepted. */
  readonly attempt: (random: Random, run: number) => unknown;
  /** Codes of the errors that a reader may give; anything else that is thrown is a finding. */
  readonly codes: readonly string[];
  /** Default `fuzzInputs`. */
  readonly inputs?: number;
  /** The most that one input may take; default 5000. */
  readonly milliseconds?: number;
}

const errorNames = ['FilesError', 'TensorsError', 'ModelError', 'ExportError', 'TrainerError', 'GlulamError'];

/**
 * Give a reader damaged inputs. It has to read or refuse each of them with an error of its own, within the time; an
 * input that ends in a loop ends the process, with its number on stderr.
 */
export async function runFuzz(name: string, { attempt, codes, inputs = fuzzInputs, milliseconds = 5000 }: FuzzOptions) {
  const outcomes = { accepted: 0, refused: 0, slowest: 0 };
  const watch = watchdog(name, 4 * milliseconds);
  const began = performance.now();
  try {
    for (let run = 0; run < inputs; run++) {
      watch.at(run);
      const start = performance.now();
      try {
        await attempt(createRandom(run), run);
        outcomes.accepted += 1;
      } catch (error) {
        const { code, message } = error as { code?: unknown; message: string };
        const own = error instanceof Error && errorNames.includes(error.name);
        if (!own || !codes.includes(code as string))
          throw new Error(`${name}: input ${run} gave ${String(code)}: ${String(message).slice(0, 500)}`, {
            cause: error,
          });
        // A message is for people: what is in the input is not to be poured into it.
        if (message.length > 4000)
          throw new Error(`${name}: input ${run} has a message of ${message.length} characters`, { cause: error });
        outcomes.refused += 1;
      }
      const took = performance.now() - start;
      outcomes.slowest = Math.max(outcomes.slowest, took);
      if (took > milliseconds) throw new Error(`${name}: input ${run} took ${took.toFixed(0)} ms`);
    }
  } finally {
    await watch.close();
  }
  // Most inputs are still of use, or the damage tests nothing; and some are accepted, or nothing behind the first check is.
  expect(outcomes.refused, `${name}: refused`).toBeGreaterThan(0);
  expect(outcomes.accepted, `${name}: accepted`).toBeGreaterThan(0);
  if (process.env['GLULAM_FUZZ'] !== undefined) {
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(
      `${name}: ${inputs} inputs in ${seconds} s, ${outcomes.accepted} read, ${outcomes.refused} refused, the slowest ${outcomes.slowest.toFixed(0)} ms`,
    );
  }
  return outcomes;
}

/** A thread that ends the process when the main one is stuck with an input, which nothing else could. */
function watchdog(name: string, milliseconds: number): { at(run: number): void; close(): Promise<unknown> } {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { workerData: { shared, name, milliseconds } } = require('node:worker_threads');
    let last = -1;
    setInterval(() => {
      const run = Atomics.load(shared, 0);
      if (run === last) {
        require('node:fs').writeSync(2, name + ': input ' + run + ' did not end within ' + milliseconds + ' ms\\n');
        process.kill(process.pid, 'SIGKILL');
      }
      last = run;
    }, milliseconds);`;
  const worker = new Worker(code, { eval: true, workerData: { shared, name, milliseconds } });
  worker.unref();
  return { at: (run) => void Atomics.store(shared, 0, run), close: () => worker.terminate() };
}
