import { describe, expect, test } from 'vitest';
import { createField, textOf, type Row } from './template.js';

const read = (source: string, row: Row): unknown => createField(source, 'doc_to_text').read(row);

describe('templates', () => {
  test.each<[string, Row, unknown]>([
    ['question', { question: 'x\n' }, 'x\n'],
    ['options', { options: ['a', 'b'] }, ['a', 'b']],
    ['Q: {{question}}\nA:', { question: 'x' }, 'Q: x\nA:'],
    ['{{question}}\n', { question: 'x' }, 'x\n'],
    ['{{question}}\n\n', { question: 'x' }, 'x\n\n'],
    ['{% if more %}{{more}}\n{% endif %}\nQ', { more: 'm' }, 'm\n\nQ'],
    ['{{ answer.split("####")[-1].strip() }}', { answer: 'why #### 5 ' }, '5'],
    ['{% for each in list %}{{loop.index}}{{each.text}}{% endfor %}', { list: [{ text: 'a' }, { text: 'b' }] }, '1a2b'],
    ['{% set n = 1 %}{{ n + start }}', { start: 2 }, '3'],
    ['{{ ["a", "b"][label] }}', { label: 1 }, 'b'],
    ['{% if hint is defined %}{{hint}}{% endif %}{{q}}', { q: 'x' }, 'x'],
    ['{{ hint | default("none") }}', {}, 'none'],
    ["{{ q.strip('.') }}", { q: '...  Two and two?...' }, '  Two and two?'],
    ['{{ a }} {{ [a, "b"] }}', { a: true }, "True [True, 'b']"],
  ])('%j of %j', (source, row, expected) => expect(read(source, row)).toEqual(expected));

  test.each<[string, Row, RegExp]>([
    ['question', {}, /the column question is missing/],
    ['Q: {{question}}', { other: 1 }, /the column question is missing/],
    ['Q: {{question}}', { question: null }, /the column question is null/],
    ['{{ list[at] }}', { list: [1] }, /the column at is missing/],
    ['{% for each in list %}{{each}}{% endfor %}', {}, /the column list is missing/],
    ['{{ question | join(glue) }}', { question: ['a'] }, /the column glue is missing/],
    ['{% if a %}{{b}}{% endif %}', { a: true }, /the column b is missing/],
    ['{{ question.split() }}', { question: 3 }, /doc_to_text: /],
  ])('%j of %j leaves the row out', (source, row, message) => expect(() => read(source, row)).toThrow(message));

  test('a template without end stops the run, not a row', () => {
    const loops = '{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}{{ q }}';
    expect(() => read(loops, { q: 'x' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test('texts are texts', () => {
    const field = createField('answer', 'doc_to_target');
    expect(textOf(field, { answer: 3 }, 'doc_to_target')).toBe('3');
    expect(() => textOf(field, { answer: ['a'] }, 'doc_to_target')).toThrow(/expected a text, got a list/);
    expect(() => createField('{{ x', 'doc_to_text')).toThrow(/doc_to_text cannot be parsed as Jinja/);
  });
});
