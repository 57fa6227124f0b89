import { z } from 'zod';
import { toByteCharacters } from './byte-level.js';
import { componentOf, patternSchema, readOptions, unsupported, type Component } from '../component.js';
import { laterPunctuation } from '../patterns/later-characters.js';
import { inSteps } from './made-text.js';
import { createPattern, regexPattern, type Pattern } from '../patterns/pattern.js';
import { behaviorSchema, splitParts, type SplitBehavior } from './split-behavior.js';

/** A part of a text that is tokenized by itself. */
export interface Piece {
  readonly text: string;
  /** How many of its units come from the first character of the whole text: what is put before that belongs to it. */
  readonly atStart: number;
}

export type PreTokenizer = (pieces: readonly Piece[]) => readonly Piece[];

const byteLevelOptions = z.looseObject({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) });
const scheme = z.enum(['first', 'never', 'always']);
const metaspaceOptions = z.looseObject({
  replacement: z.string(),
  prepend_scheme: scheme.default('always'),
  split: z.boolean().default(true),
  add_prefix_space: z.boolean().nullish(),
});
const splitOptions = z.looseObject({ pattern: patternSchema, behavior: behaviorSchema, invert: z.boolean() });
const punctuationOptions = z.looseObject({ behavior: behaviorSchema.default('Isolated') });
const digitsOptions = z.looseObject({ individual_digits: z.boolean() });
const delimiterOptions = z.looseObject({ delimiter: z.string() });
const lengthOptions = z.looseObject({ length: z.int().min(1) });
const sequenceOptions = z.looseObject({ pretokenizers: z.array(z.unknown()) });

const word = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const words = regexPattern(new RegExp(`[${word}]+|[^${word}\\p{White_Space}]+`, 'gv'));
const space = regexPattern(/\p{White_Space}/gu);
const numeral = regexPattern(/\p{N}/gu);
const numerals = regexPattern(/\p{N}+/gu);
// Two marks were punctuation in Unicode 8 and are no longer.
const punctuation = regexPattern(
  new RegExp(`[[\\p{P}\\u166d\\u{111c9}!-\\/:-@\\[-\\x60\\{-~]--[${laterPunctuation}]]`, 'gv'),
);
const gpt2 = createPattern(
  { Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
  'pre_tokenizer ByteLevel',
);

/** How tokenizer.json's `pre_tokenizer` divides text; null leaves it whole. */
export function createPreTokenizer(value: unknown): PreTokenizer | undefined {
  const component = componentOf(value, 'pre_tokenizer');
  return component === undefined ? undefined : preTokenizerOf(component);
}

function preTokenizerOf(component: Component): PreTokenizer {
  const options = <T extends z.ZodType>(schema: T): z.output<T> => readOptions(schema, component, 'pre_tokenizer');
  switch (component.type) {
    case 'Sequence': {
      const steps = options(sequenceOptions).pretokenizers.map((step) => createPreTokenizer(step));
      return inSteps<readonly Piece[]>(steps, (pieces) => pieces.reduce((sum, { text }) => sum + text.length, 0));
    }
    case 'ByteLevel': {
      const { add_prefix_space: adds, use_regex: divides } = options(byteLevelOptions);
      return (pieces) => {
        const prefixed = adds ? pieces.map((piece) => prefix(piece, ' ')) : pieces;
        const divided = divides ? split(prefixed, gpt2, 'Isolated') : prefixed;
        return divided.map(({ text, atStart }) => ({
          text: toByteCharacters(text),
          atStart: toByteCharacters(text.slice(0, atStart)).length,
        }));
      };
    }
    case 'Metaspace':
      return metaspace(options(metaspaceOptions));
    case 'Split': {
      const { pattern, behavior, invert } = options(splitOptions);
      const found = createPattern(pattern, 'pre_tokenizer Split');
      return (pieces) => split(pieces, found, behavior, invert);
    }
    case 'Whitespace':
      return (pieces) => split(pieces, words, 'Removed', true);
    case 'WhitespaceSplit':
      return (pieces) => split(pieces, space, 'Removed');
    case 'BertPreTokenizer':
      return (pieces) => split(split(pieces, space, 'Removed'), punctuation, 'Isolated');
    case 'Punctuation': {
      const { behavior } = options(punctuationOptions);
      return (pieces) => split(pieces, punctuation, behavior);
    }
    case 'Digits': {
      const { individual_digits: single } = options(digitsOptions);
      return (pieces) => split(pieces, single ? numeral : numerals, 'Isolated');
    }
    case 'CharDelimiterSplit': {
      const delimiter = createPattern(
        { String: options(delimiterOptions).delimiter },
        'pre_tokenizer CharDelimiterSplit',
      );
      return (pieces) => split(pieces, delimiter, 'Removed');
    }
    case 'FixedLength': {
      const { length } = options(lengthOptions);
      const runs = regexPattern(new RegExp(`[^]{1,${length}}`, 'gu'));
      return (pieces) => split(pieces, runs, 'Isolated');
    }
    default:
      throw unsupported(`the pre_tokenizer ${component.type}`);
  }
}

function split(pieces: readonly Piece[], pattern: Pattern, behavior: SplitBehavior, inverted = false): Piece[] {
  const result: Piece[] = [];
  for (const { text, atStart } of pieces) {
    for (const { start, end } of splitParts(pattern.parts(text), behavior, inverted))
      result.push({ text: text.slice(start, end), atStart: Math.max(0, atStart - start) });
  }
  return result;
}

function prefix(piece: Piece, character: string): Piece {
  const { text, atStart } = piece;
  if (text.startsWith(character)) return piece;
  return { text: character + text, atStart: atStart === 0 ? 0 : atStart + character.length };
}

function metaspace(options: z.output<typeof metaspaceOptions>): PreTokenizer {
  const { replacement, prepend_scheme: prepends, split: divides } = options;
  if ([...replacement].length !== 1)
    throw unsupported(`the pre_tokenizer Metaspace with the replacement ${JSON.stringify(replacement)}`);
  if (options.add_prefix_space === false && prepends !== 'never')
    throw unsupported(`the pre_tokenizer Metaspace with add_prefix_space false and prepend_scheme ${prepends}`);
  const delimiter = createPattern({ String: replacement }, 'pre_tokenizer Metaspace');
  return (pieces) => {
    const spaced = pieces.map((piece) => {
      const replaced = { text: piece.text.replaceAll(' ', replacement), atStart: piece.atStart };
      return prepends === 'always' || (prepends === 'first' && piece.atStart > 0)
        ? prefix(replaced, replacement)
        : replaced;
    });
    return divides ? split(spaced, delimiter, 'MergedWithNext') : spaced;
  };
}
