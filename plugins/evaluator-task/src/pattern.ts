import { createTimeLimit, describeTimeout, OutOfTime } from '@glulam/model';
import { TrainerError } from '@glulam/trainer';

/** A regular expression of a task file. Its methods throw TrainerError CONFIG_INVALID where a match does not end. */
interface Pattern {
  /**
   * Match number `which` of all in a text, from the end if negative: its first group that is not empty, or all of it where
   * the pattern has no group. Null: there is none.
   */
  find(text: string, which: number): string | null;
  /** The text without what the pattern matches. */
  remove(text: string): string;
}

// Compiling cannot be interrupted.
const longestPattern = 10_000;

/**
 * Python's way of setting flags, `(?s)` at the beginning, and of naming groups is understood; the rest is JavaScript's syntax, which
 * is the same for what task files use.
 *
 * @throws TrainerError CONFIG_INVALID
 */
export function createPattern(source: string, place: string): Pattern {
  const regex = compile(source, place);
  const limit = createTimeLimit();
  const limited = <T>(text: string, run: () => T): T => {
    try {
      return limit.run(text.length, run);
    } catch (cause) {
      if (!(cause instanceof OutOfTime)) throw cause;
      throw new TrainerError(
        'CONFIG_INVALID',
        describeTimeout(`${place}, ${JSON.stringify(source)},`, text.length, cause),
        { cause },
      );
    }
  };
  return {
    find: (text, which) => limited(text, () => findMatch(regex, text, which)),
    remove: (text) => limited(text, () => text.replace(regex, '')),
  };
}

function compile(source: string, place: string): RegExp {
  const [, flags = '', body = ''] = /^(?:\(\?([ims]+)\))?([^]*)$/.exec(source)!;
  const fault = (what: string, cause?: unknown): TrainerError =>
    new TrainerError('CONFIG_INVALID', `${place} is no regular expression: ${what}`, { cause });
  if (source.length > longestPattern)
    throw fault(`it has ${source.length} characters; expected at most ${longestPattern}`);
  try {
    const regex = new RegExp(body.replaceAll('(?P<', '(?<'), `g${[...new Set(flags)].join('')}`);
    ''.search(regex); // compiles it: what is too large for JavaScript fails here
    return regex;
  } catch (cause) {
    throw fault((cause as Error).message, cause);
  }
}

function findMatch(regex: RegExp, text: string, which: number): string | null {
  const match = [...text.matchAll(regex)].at(which);
  if (match === undefined) return null;
  const [whole, ...groups] = match;
  const found = (groups.length === 0 ? [whole] : groups).find((group) => group !== undefined && group !== '');
  return found?.trim() ?? null;
}
