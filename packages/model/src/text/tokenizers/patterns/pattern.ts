import { invalid, type PatternOption } from '../component.js';
import { compileOniguruma } from './oniguruma.js';
import { checkMade, longestMade } from '../steps/made-text.js';
import { noteMatch } from './regex-limit.js';

/** A part of a text, and whether the pattern matched it. Parts cover the text. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly matched: boolean;
}

/** Finds what a pattern matches, as Oniguruma does: the parts of a text in order. */
export interface Pattern {
  parts(text: string): Part[];
  replace(text: string, content: string): string;
}

/** @param place the part of tokenizer.json that has the pattern, for messages */
export function createPattern(option: PatternOption, place: string): Pattern {
  if ('String' in option) {
    if (option.String === '') throw invalid('it has an empty pattern: expected at least one character');
    const literal = option.String;
    return fromMatches(literalMatches(literal), (text, content) => {
      const most = text.length + Math.floor(text.length / literal.length) * content.length;
      return most > longestMade(text.length) ? undefined : text.replaceAll(literal, () => content);
    });
  }
  const matches = regexMatches(compileOniguruma(option.Regex));
  return fromMatches((text, take) => {
    noteMatch(place, option.Regex, text.length);
    matches(text, take);
  });
}

/** A pattern of a JavaScript expression with the flags g and u or v. */
export function regexPattern(regex: RegExp): Pattern {
  return fromMatches(regexMatches(regex));
}

type Matches = (text: string, take: (start: number, end: number) => void) => void;

/** @param replaceFast undefined where it does not know that the result is short enough */
function fromMatches(matches: Matches, replaceFast?: (text: string, content: string) => string | undefined): Pattern {
  return {
    parts(text) {
      const parts: Part[] = [];
      let last = 0;
      matches(text, (start, end) => {
        if (last < start) parts.push({ start: last, end: start, matched: false });
        parts.push({ start, end, matched: true });
        last = end;
      });
      if (last < text.length) parts.push({ start: last, end: text.length, matched: false });
      return parts;
    },
    replace(text, content) {
      const known = replaceFast?.(text, content);
      if (known !== undefined) return known;
      let result = '';
      let last = 0;
      matches(text, (start, end) => {
        result += text.slice(last, start) + content;
        last = end;
        checkMade(result.length, text.length);
      });
      return last === 0 && result === '' ? text : result + text.slice(last);
    },
  };
}

function literalMatches(literal: string): Matches {
  return (text, take) => {
    for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length))
      take(at, at + literal.length);
  };
}

function regexMatches(regex: RegExp): Matches {
  return (text, take) => {
    if (text === '') return;
    let previous = -1;
    let at = 0;
    while (at <= text.length) {
      regex.lastIndex = at;
      const match = regex.exec(text);
      if (match === null) return;
      const start = match.index;
      const end = start + match[0].length;
      // A lookbehind can match between the halves of a surrogate pair.
      if (isHalfway(text, start)) {
        at = start + 1;
        continue;
      }
      // An empty match right after a match does not count.
      if (start === end && end === previous) {
        at = end + (text.codePointAt(end)! > 0xffff ? 2 : 1);
        continue;
      }
      take(start, end);
      at = previous = end;
    }
  };
}

function isHalfway(text: string, at: number): boolean {
  return at > 0 && at < text.length && text.codePointAt(at - 1)! > 0xffff;
}
