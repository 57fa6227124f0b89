import { dialects, type Dialect } from './parse/dialect.js';
import { BudgetError, PythonError } from './failures.js';

/** What one rendering may use. A published template needs some thousand steps and renders some thousand characters. */
export const budgets = { steps: 3_000_000, characters: 16 * 1024 * 1024, items: 1_000_000, depth: 200 };

// Rendering is synchronous and never nested, so the state of the one that runs can be the module's: operators and
// filters deep inside would otherwise have to be handed it.
let dialect = dialects.chat;
let steps = 0;
let depth = 0;

/** Runs a rendering with its whole budget. */
export function withBudget<T>(of: Dialect, run: () => T): T {
  dialect = of;
  steps = 0;
  depth = 0;
  return run();
}

export const currentDialect = (): Dialect => dialect;

/** Counts the work that a template does: statements, iterations, items of a list that is gone through. */
export function spend(count: number): void {
  steps += count;
  if (steps > budgets.steps)
    throw new BudgetError(
      `it takes more than ${budgets.steps.toLocaleString('en')} steps; a loop over a long range or loops in loops do that`,
    );
}

/** Counts characters that a template is about to go through or to copy. */
export function spendText(length: number): void {
  checkText(length);
  spend(length >>> 5);
}

/** Stops at a text that is too long. */
export function checkText(length: number): void {
  if (length > budgets.characters)
    throw new BudgetError(`it makes a text of more than ${budgets.characters.toLocaleString('en')} characters`);
}

/** Counts the items of a list that a template is about to make. */
export function spendItems(length: number): void {
  if (length > budgets.items)
    throw new BudgetError(`it makes a list of more than ${budgets.items.toLocaleString('en')} items`);
  spend(length);
}

/** One call deeper; Python stops at about 1,000 frames, of which a macro's call takes five. */
export function nested<T>(run: () => T): T {
  if (++depth > budgets.depth) throw new PythonError('RecursionError', 'maximum recursion depth exceeded');
  try {
    return run();
  } finally {
    depth--;
  }
}
