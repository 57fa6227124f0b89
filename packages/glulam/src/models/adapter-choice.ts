import path from 'node:path';
import { isAdapterFolder } from '@glulam/files';
import type { ChosenAdapter } from '@glulam/model';
import type { NamedAdapter } from '@glulam/trainer';
import { GlulamError } from '../errors.js';
import { findStep, noteHeldStep, parseRunName } from '../runs/run-name.js';

/** `FOLDER` or `FOLDER=WEIGHT`; a folder's name may have a `=` in it. */
export function parseChoice(text: string): ChosenAdapter {
  const at = text.lastIndexOf('=');
  const weight = at <= 0 || at === text.length - 1 ? NaN : Number(text.slice(at + 1));
  return Number.isNaN(weight) ? { name: text, weight: 1 } : { name: text.slice(0, at), weight };
}

/**
 * The adapter of a run, of one of its steps or checkpoints, or of an adapter folder, under the name that was given for it;
 * with a line for people on which step of a run it is.
 */
export function namedAdapter(name: string): NamedAdapter & { readonly note?: string | undefined } {
  const step = parseRunName(name);
  if (step !== undefined) {
    const { adapterFolder: folder, note } = findStep(step, name);
    return { name, folder, note };
  }
  const folder = [name, path.join(name, 'adapter')].find(isAdapterFolder);
  if (folder !== undefined) return { name, folder, note: folder === name ? undefined : noteHeldStep(name) };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither an adapter folder nor a run that has one; expected FOLDER, RUN@best, RUN@last or RUN@step-N, or one of them with =WEIGHT`,
  );
}
