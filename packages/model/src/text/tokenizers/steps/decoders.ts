import { z } from 'zod';
import { fromByteCharacters } from './byte-level.js';
import { componentOf, invalid, patternSchema, readOptions, unsupported, type Component } from '../component.js';
import { inSteps } from './made-text.js';
import { createPattern } from '../patterns/pattern.js';

/** Turns the texts of tokens into texts that, joined, are the decoded text. */
export type TokenDecoder = (tokens: string[]) => string[];

const wordPieceOptions = z.looseObject({ prefix: z.string(), cleanup: z.boolean() });
const metaspaceOptions = z.looseObject({
  replacement: z.string(),
  prepend_scheme: z.enum(['first', 'never', 'always']).default('always'),
  add_prefix_space: z.boolean().nullish(),
});
const bpeOptions = z.looseObject({ suffix: z.string() });
const ctcOptions = z.looseObject({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean() });
const stripOptions = z.looseObject({ content: z.string(), start: z.int().min(0), stop: z.int().min(0) });
const replaceOptions = z.looseObject({ pattern: patternSchema, content: z.string() });
const sequenceOptions = z.looseObject({ decoders: z.array(z.unknown()) });

/** tokenizer.json's `decoder`. Without one, a text is its tokens with spaces between. */
export function createDecoder(value: unknown): TokenDecoder {
  const component = componentOf(value, 'decoder');
  return component === undefined ? (tokens) => [tokens.join(' ')] : decoderOf(component);
}

function decoderOf(component: Component): TokenDecoder {
  const options = <T extends z.ZodType>(schema: T): z.output<T> => readOptions(schema, component, 'decoder');
  switch (component.type) {
    case 'Sequence': {
      const steps = options(sequenceOptions).decoders.map((step) => {
        const each = componentOf(step, 'decoder');
        if (each === undefined) throw invalid('its decoder Sequence has a step that is null');
        return decoderOf(each);
      });
      return inSteps(steps, (tokens) => tokens.reduce((sum, token) => sum + token.length, 0));
    }
    case 'ByteLevel':
      return (tokens) => [fromByteCharacters(tokens)];
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Metaspace': {
      const { replacement, prepend_scheme: scheme } = options(metaspaceOptions);
      return (tokens) =>
        tokens.map((token, index) => token.replaceAll(replacement, index === 0 && scheme !== 'never' ? '' : ' '));
    }
    case 'WordPiece': {
      const { prefix, cleanup } = options(wordPieceOptions);
      return (tokens) =>
        tokens.map((token, index) => {
          const text = index === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
          return cleanup ? cleanUp(text) : text;
        });
    }
    case 'BPEDecoder': {
      const { suffix } = options(bpeOptions);
      return (tokens) => tokens.map((token, index) => token.replaceAll(suffix, index === tokens.length - 1 ? '' : ' '));
    }
    case 'CTC': {
      const { pad_token: pad, word_delimiter_token: delimiter, cleanup } = options(ctcOptions);
      return (tokens) =>
        tokens
          .filter((token, index) => token !== tokens[index - 1])
          .map((token) => {
            const text = token.replaceAll(pad, '');
            return cleanup ? cleanUp(text).replaceAll(delimiter, ' ') : text;
          })
          .filter((token) => token !== '');
    }
    case 'Strip': {
      const { content, start, stop } = options(stripOptions);
      if ([...content].length !== 1) throw unsupported(`the decoder Strip with the content ${JSON.stringify(content)}`);
      return (tokens) => tokens.map((token) => strip(token, content, start, stop));
    }
    case 'Replace': {
      const { pattern, content } = options(replaceOptions);
      const found = createPattern(pattern, 'decoder Replace');
      return (tokens) => tokens.map((token) => found.replace(token, content));
    }
    default:
      throw unsupported(`the decoder ${component.type}`);
  }
}

const CLEANED: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** Takes out the spaces that splitting into words put before punctuation. */
function cleanUp(text: string): string {
  return CLEANED.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

function strip(token: string, content: string, most: number, mostAtEnd: number): string {
  let start = 0;
  for (let count = 0; count < most && token.startsWith(content, start); count++) start += content.length;
  let end = token.length;
  for (let count = 0; count < mostAtEnd && end - content.length >= start && token.endsWith(content, end); count++)
    end -= content.length;
  return token.slice(start, end);
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Tokens `<0x..>` beside each other are the bytes of one text; where they are no UTF-8, each is U+FFFD. */
function byteFallback(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let pending: number[] = [];
  const flush = (): void => {
    if (pending.length === 0) return;
    const bytes = Uint8Array.from(pending);
    pending = [];
    try {
      result.push(strict.decode(bytes));
    } catch {
      for (let count = 0; count < bytes.length; count++) result.push('\uFFFD');
    }
  };
  for (const token of tokens) {
    const byte = /^<0x([\da-fA-F]{2})>$/.exec(token);
    if (byte !== null) pending.push(parseInt(byte[1]!, 16));
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}
