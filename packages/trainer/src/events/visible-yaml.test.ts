import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Document, parse } from 'yaml';
import { visibleText } from './visible-text.js';
import { visibleYaml } from './visible-yaml.js';

test('plain values are written as ever', () => {
  expect(visibleYaml(new Document({ name: 'llama 3', tags: ['a', 'b: c'] }))).toBe(
    'name: llama 3\ntags:\n  - a\n  - "b: c"\n',
  );
});

test('any texts, as keys and values, stay the same, and nothing in the file is obeyed', () => {
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '\u001b',
          '\u009b',
          '\u202e',
          '\u2028',
          '<script>',
          '\u{e0041}',
          '\n',
          '"',
          "'",
          '\\',
          ': ',
          '#',
          '\u007f',
          '\r\n',
        ),
        fc.string({ maxLength: 4 }),
      ),
      { maxLength: 8 },
    )
    .map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text))), (value) => {
      const yaml = visibleYaml(new Document(value));
      expect(parse(yaml)).toEqual({ ...value });
      expect(visibleText(yaml)).toBe(yaml);
      expect(yaml).not.toMatch(/[<>](?!-?\n)/);
    }),
  );
});
