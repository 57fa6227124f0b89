import { ModelError } from '../errors.js';

/** What may be shown so far, and the stop string that ended the text, if one did. */
interface StopResult {
  readonly text: string;
  readonly stop: string | undefined;
}

/** Watches a text that arrives in pieces for strings that end it. */
interface StopStrings {
  /** Takes the next piece and returns what can no longer become part of a stop string. */
  push(piece: string): StopResult;
  /** Ends the text and returns what was held back. */
  finish(): string;
}

/**
 * Cuts a text before the stop string that is completed first (of those completed by the same character, the longest),
 * wherever the pieces happen to break. The stop string itself is not part of the text, and after it nothing is.
 *
 * @param stops not empty strings; none at all is allowed and passes everything on
 * @throws ModelError GENERATION_INVALID if a stop string is empty
 */
export function createStopStrings(stops: readonly string[]): StopStrings {
  if (stops.includes('')) {
    throw new ModelError(
      'GENERATION_INVALID',
      `stop: got an empty string at position ${stops.indexOf('')}, expected strings of at least one character; ` +
        'remove it, an empty stop string would end every text before it begins.',
    );
  }
  let held = '';
  let stop: string | undefined;

  return {
    push(piece) {
      if (stop !== undefined) return { text: '', stop };
      held += piece;
      const found = firstCompleted(held, stops);
      if (found !== undefined) {
        const text = held.slice(0, found.start);
        held = '';
        stop = found.stop;
        return { text, stop };
      }
      const open = held.length - openLength(held, stops);
      const text = held.slice(0, open);
      held = held.slice(open);
      return { text, stop };
    },
    finish() {
      const text = held;
      held = '';
      return text;
    },
  };
}

function firstCompleted(text: string, stops: readonly string[]): { stop: string; start: number } | undefined {
  let best: { stop: string; start: number; end: number } | undefined;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const end = start + stop.length;
    if (best === undefined || end < best.end || (end === best.end && start < best.start)) best = { stop, start, end };
  }
  return best;
}

/** Length of the longest end of `text` that is the beginning of a stop string. */
function openLength(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}
