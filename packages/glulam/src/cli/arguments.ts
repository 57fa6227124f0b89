import { parseArgs } from 'node:util';
import { expandHome } from '@glulam/files';
import { GlulamError } from '../errors.js';

export interface Arguments {
  readonly positional: readonly string[];
  readonly options: Readonly<Record<string, string | true>>;
  /** Values of options that may be given more than once, in order. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

/** Options that take no value: the word after them is one of its own. */
const flags = new Set(['chat', 'chat-template', 'help', 'h', 'json', 'no-adapter', 'private', 'resume', 'unexpanded']);

/** Options that name a file or folder. Shells leave the `~` in `--out=~/x` as it is. */
const paths = new Set(['adapter', 'base', 'config', 'gguf', 'out', 'samples']);

/** A negative number does not look like an option: it may be the value of one. */
const optionStart = /^--?(?=[A-Za-z])/;

/**
 * `glulam train file --train.steps 10`: an option that is no flag takes the next word, unless that is an option too.
 *
 * @param repeatable options that go to `lists`, each with a value
 */
export function parseArguments(words: readonly string[], repeatable: readonly string[] = []): Arguments {
  const positional: string[] = [];
  const options: Record<string, string | true> = {};
  const lists: Record<string, string[]> = {};
  for (const token of tokensOf(words)) {
    const word = words[token.index]!;
    if (token.kind === 'positional' && !word.startsWith('-')) {
      positional.push(expandHome(word));
      continue;
    }
    if (token.kind !== 'option' || !/^[A-Za-z][\w.-]*$/.test(token.name))
      throw new GlulamError('USAGE', `cannot read the option ${word}; options look like --name value`);
    const { name, inlineValue } = token;
    // parseArgs gives each use of a name a value if any has one, be it the option that follows.
    const given = inlineValue === false && optionStart.test(token.value) ? undefined : token.value;
    const isRepeatable = repeatable.includes(name);
    if (Object.hasOwn(options, name) || (given !== token.value && !isRepeatable))
      throw new GlulamError('USAGE', `--${name} is given twice; give it once`);
    const value = given !== undefined && paths.has(name) ? expandHome(given) : given;
    if (!isRepeatable) options[name] = value ?? true;
    else if (value === undefined) throw new GlulamError('USAGE', `--${name} is without a value`);
    else (lists[name] ??= []).push(value);
  }
  return { positional, options, lists };
}

/** Any key of a config may be an option, so which of them take a value is seen from the words themselves. */
function tokensOf(words: readonly string[]) {
  const args = words.map((word) => word.replace(optionStart, '--'));
  const withValue = args.filter((word, index) => {
    const next = args[index + 1];
    return optionStart.test(word) && next !== undefined && !optionStart.test(next) && !flags.has(word.slice(2));
  });
  const options = Object.fromEntries(withValue.map((word) => [word.slice(2), { type: 'string' } as const]));
  return parseArgs({ args, options, strict: false, tokens: true }).tokens;
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
