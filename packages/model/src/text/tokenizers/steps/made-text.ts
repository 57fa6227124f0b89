import { unsupported } from '../component.js';

// Steps that each double a text fill the memory from a few characters.

/** How long a text may become that a tokenizer makes of one of a length. */
export const longestMade = (length: number): number => Math.max(2 ** 20, 8 * length);

/** @throws ModelError TOKENIZER_UNSUPPORTED */
export function checkMade(made: number, length: number): void {
  if (made <= longestMade(length)) return;
  const count = length.toLocaleString('en');
  throw unsupported(`it makes a text of ${made.toLocaleString('en')} characters of one of ${count}`);
}

/** Does steps one after another, and looks after each at the length of what it made. */
export function inSteps<T>(
  steps: readonly (((value: T) => T) | undefined)[],
  measure: (value: T) => number,
): (value: T) => T {
  return (value) => {
    const length = measure(value);
    return steps.reduce((result, step) => {
      if (step === undefined) return result;
      const made = step(result);
      checkMade(measure(made), length);
      return made;
    }, value);
  };
}
