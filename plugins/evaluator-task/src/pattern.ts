import { TrainerError } from '@glulam/trainer';

/**
 * A regular expression of a task file, for all matches. Python's way of setting flags, `(?s)` at the beginning, and of naming groups is
 * understood; the rest is JavaScript's syntax, which is the same for what task files use.
 *
 * @throws TrainerError CONFIG_INVALID
 */
export function createPattern(source: string, place: string): RegExp {
  const [, flags = '', body = ''] = /^(?:\(\?([ims]+)\))?([^]*)$/.exec(source)!;
  try {
    return new RegExp(body.replaceAll('(?P<', '(?<'), `g${[...new Set(flags)].join('')}`);
  } catch (cause) {
    throw new TrainerError('CONFIG_INVALID', `${place} is no regular expression: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * Match number `which` of all in a text, from the end if negative: its first group that is not empty, or all of it where
 * the pattern has no group. Null: there is none.
 */
export function findMatch(pattern: RegExp, text: string, which: number): string | null {
  const match = [...text.matchAll(pattern)].at(which);
  if (match === undefined) return null;
  const [whole, ...groups] = match;
  const found = (groups.length === 0 ? [whole] : groups).find((group) => group !== undefined && group !== '');
  return found?.trim() ?? null;
}
