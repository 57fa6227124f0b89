import { availableParallelism } from 'node:os';
import { TensorsError } from '@glulam/tensors';
import { isaNames, type Isa } from './addon.js';

/**
 * What the variable GLULAM_ISA names; `auto` where it is empty or not set.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE where it names something else
 */
export function isaOfEnvironment(): Isa | 'auto' {
  const value = process.env['GLULAM_ISA'];
  if (value === undefined || value === '' || value === 'auto') return 'auto';
  const isa = isaNames.find((name) => name === value);
  if (isa !== undefined) return isa;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `the variable GLULAM_ISA is "${value}"; expected auto, ${isaNames.join(', ')}`,
  );
}

/**
 * Threads that compute where nothing else is said: what the variable GLULAM_THREADS says, or as many as the machine has for
 * this process.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE where it is no number of threads
 */
export function threadsOfEnvironment(): number {
  const value = process.env['GLULAM_THREADS'];
  if (value === undefined || value === '') return availableParallelism();
  const threads = Number(value);
  if (Number.isInteger(threads) && threads >= 1) return threads;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `the variable GLULAM_THREADS is "${value}"; expected a whole number from 1`,
  );
}
