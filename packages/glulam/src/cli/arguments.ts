import { expandHome } from '@glulam/files';
import { GlulamError } from '../errors.js';

export interface Arguments {
  readonly positional: readonly string[];
  readonly options: Readonly<Record<string, string | true>>;
  /** Values of options that may be given more than once, in order. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

/** Options that take no value: the word behind them is one of its own. */
const flags = new Set(['chat', 'chat-template', 'help', 'h', 'json', 'no-adapter', 'private', 'resume', 'unexpanded']);

/** Options that name a file or folder. Shells leave the `~` in `--out=~/x` as it is. */
const paths = new Set(['adapter', 'base', 'config', 'gguf', 'out', 'samples']);

/**
 * `glulam train file --train.steps 10`: an option that is no flag takes the next word, unless that is an option too.
 *
 * @param repeatable options that go to `lists`, each with a value
 */
export function parseArguments(words: readonly string[], repeatable: readonly string[] = []): Arguments {
  const positional: string[] = [];
  const options: Record<string, string | true> = {};
  const lists: Record<string, string[]> = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!word.startsWith('-')) {
      positional.push(expandHome(word));
      continue;
    }
    const match = /^--?([A-Za-z][\w.-]*)(?:=([\s\S]*))?$/.exec(word);
    if (match === null)
      throw new GlulamError('USAGE', `cannot read the option ${word}; options look like --name value`);
    const name = match[1]!;
    if (name in options) throw new GlulamError('USAGE', `--${name} is given twice; give it once`);
    const next = words[i + 1];
    if (match[2] !== undefined) options[name] = match[2];
    else if (!flags.has(name) && next !== undefined && !/^--?[A-Za-z]/.test(next)) {
      options[name] = next;
      i += 1;
    } else options[name] = true;
    if (paths.has(name) && typeof options[name] === 'string') options[name] = expandHome(options[name]);
    if (!repeatable.includes(name)) continue;
    const value = options[name];
    if (typeof value !== 'string') throw new GlulamError('USAGE', `--${name} is without a value`);
    (lists[name] ??= []).push(value);
    delete options[name];
  }
  return { positional, options, lists };
}

/** Option texts as config values: numbers, true, false, JSON, or else the text itself. */
export function overridesFrom(options: Arguments['options']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => {
      if (value === true) return [name, true];
      try {
        return [name, JSON.parse(value) as unknown];
      } catch {
        return [name, value]; // not JSON: a text such as a path
      }
    }),
  );
}

export function numberOption(options: Arguments['options'], name: string): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const number = Number(value === true ? NaN : value);
  if (Number.isNaN(number))
    throw new GlulamError(
      'USAGE',
      `--${name} is ${value === true ? 'without a value' : `"${value}"`}; expected a number`,
    );
  return number;
}
