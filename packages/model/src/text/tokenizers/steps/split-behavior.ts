import { z } from 'zod';
import type { Part } from '../patterns/pattern.js';

export const behaviorSchema = z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
export type SplitBehavior = z.output<typeof behaviorSchema>;

interface Span {
  start: number;
  end: number;
}

/** What a split leaves of a text: the parts between delimiters, with what `behavior` does to the delimiters. */
export function splitParts(parts: readonly Part[], behavior: SplitBehavior, inverted = false): Span[] {
  const isMatch = (part: Part): boolean => part.matched !== inverted;
  const spans: Span[] = [];
  switch (behavior) {
    case 'Removed':
      for (const part of parts) if (!isMatch(part)) spans.push({ start: part.start, end: part.end });
      break;
    case 'Isolated':
      for (const { start, end } of parts) spans.push({ start, end });
      break;
    case 'Contiguous':
    case 'MergedWithPrevious': {
      let previous = false;
      for (const part of parts) {
        const matched = isMatch(part);
        const last = spans.at(-1);
        const joins = behavior === 'Contiguous' ? matched === previous : matched && !previous;
        if (joins && last !== undefined) last.end = part.end;
        else spans.push({ start: part.start, end: part.end });
        previous = matched;
      }
      break;
    }
    case 'MergedWithNext': {
      let previous = false;
      for (const part of parts.toReversed()) {
        const matched = isMatch(part);
        const last = spans.at(-1);
        if (matched && !previous && last !== undefined) last.start = part.start;
        else spans.push({ start: part.start, end: part.end });
        previous = matched;
      }
      spans.reverse();
      break;
    }
  }
  return spans.filter(({ start, end }) => start < end);
}
