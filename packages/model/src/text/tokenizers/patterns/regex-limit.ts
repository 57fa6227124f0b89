import { quoteValue } from '@glulam/files';
import { ModelError } from '../../../errors.js';
import { describeTimeout } from '../../regex-timeout.js';
import { createTimeLimit, OutOfTime } from '../../time-limit.js';

/** Where a regular expression stands in tokenizer.json, and the text that it looks at. */
interface Match {
  readonly place: string;
  readonly regex: string;
  readonly length: number;
}

// Matching is synchronous, so the match under way can be the module's.
let current: Match | undefined;

/** Notes what is matched, for the message should it not end. */
export function noteMatch(place: string, regex: string, length: number): void {
  current = { place, regex, length };
}

/** Runs a part of a tokenizer on a text of a length. */
type Limited = <T>(length: number, run: () => T) => T;

/**
 * The limit for a part of tokenizer.json, which costs nothing where the part has no regular expression of its own.
 *
 * @throws ModelError PATTERN_TIMEOUT naming the expression
 */
export function limitRegexes(part: unknown): Limited {
  if (!JSON.stringify(part ?? null).includes('"Regex"')) return (_, run) => run();
  const limit = createTimeLimit();
  return (length, run) => {
    try {
      return limit.run(length, run);
    } catch (error) {
      if (!(error instanceof OutOfTime) || current === undefined) throw error;
      const what = `the regular expression ${quoteValue(current.regex)} of its ${current.place}`;
      throw new ModelError('PATTERN_TIMEOUT', describeTimeout(what, current.length, error), { cause: error });
    }
  };
}
