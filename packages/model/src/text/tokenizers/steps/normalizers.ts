import { z } from 'zod';
import { toByteCharacters } from './byte-level.js';
import { componentOf, patternSchema, readOptions, unsupported, type Component } from '../component.js';
import { lowerCase, normalForm, withoutControls, withoutMarks, withoutNonspacingMarks } from './normal-forms.js';
import { inSteps } from './made-text.js';
import { createPattern } from '../patterns/pattern.js';
import { createPrecompiled } from './precompiled-charsmap.js';

/** What tokenizer.json does to a text before it is split. */
export type Normalizer = (text: string) => string;

const bertOptions = z.looseObject({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean().default(true),
});
const stripOptions = z.looseObject({ strip_left: z.boolean(), strip_right: z.boolean() });
const prependOptions = z.looseObject({ prepend: z.string() });
const replaceOptions = z.looseObject({ pattern: patternSchema, content: z.string() });
const precompiledOptions = z.looseObject({ precompiled_charsmap: z.string() });
const sequenceOptions = z.looseObject({ normalizers: z.array(z.unknown()) });

/** What tokenizer.json's `normalizer` does to text before it is tokenized; null does nothing. */
export function createNormalizer(value: unknown): Normalizer | undefined {
  const component = componentOf(value, 'normalizer');
  return component === undefined ? undefined : normalizerOf(component);
}

function normalizerOf(component: Component): Normalizer {
  const options = <T extends z.ZodType>(schema: T): z.output<T> => readOptions(schema, component, 'normalizer');
  switch (component.type) {
    case 'Sequence': {
      const steps = options(sequenceOptions).normalizers.map((step) => createNormalizer(step));
      return inSteps(steps, (text) => text.length);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = component.type;
      return (text) => normalForm(text, form);
    }
    case 'Lowercase':
      return lowerCase;
    case 'StripAccents':
      return withoutMarks;
    case 'Nmt':
      return nmt;
    case 'ByteLevel':
      return toByteCharacters;
    case 'Strip': {
      const { strip_left: left, strip_right: right } = options(stripOptions);
      return (text) => {
        const begun = left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return right ? withoutSpaceAtEnd(begun) : begun;
      };
    }
    case 'Prepend': {
      const { prepend } = options(prependOptions);
      return (text) => (text === '' ? text : prepend + text);
    }
    case 'Replace': {
      const { pattern, content } = options(replaceOptions);
      const found = createPattern(pattern, 'normalizer Replace');
      return (text) => found.replace(text, content);
    }
    case 'Precompiled':
      return createPrecompiled(options(precompiledOptions).precompiled_charsmap);
    case 'BertNormalizer':
      return bert(options(bertOptions));
    default:
      throw unsupported(`the normalizer ${component.type}`);
  }
}

// A pattern with + and $ looks at every run of spaces again from each of its characters.
function withoutSpaceAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

// The rules of Google's neural machine translation data, as the library has them.
function nmt(text: string): string {
  return text
    .replace(/[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');
}

function bert(options: z.output<typeof bertOptions>): Normalizer {
  const stripsAccents = options.strip_accents ?? options.lowercase;
  return (text) => {
    let result = text;
    if (options.clean_text) result = withoutControls(result).replace(/\p{White_Space}/gu, ' ');
    if (options.handle_chinese_chars) {
      const ideographs =
        /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
      result = result.replace(ideographs, ' $& ');
    }
    if (stripsAccents) result = withoutNonspacingMarks(normalForm(result, 'NFD'));
    return options.lowercase ? lowerCase(result) : result;
  };
}
