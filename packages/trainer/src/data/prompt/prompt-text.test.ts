import { expect, test } from 'vitest';
import { defaultPrompt, fillPrompt, promptNames } from './prompt-text.js';

test.each([
  [defaultPrompt, ['question'], 'Question: <question>\nAnswer:'],
  ['I: {question} X: {input} A: {input}', ['question', 'input'], 'I: <question> X: <input> A: <input>'],
  ['{Input Text}{id-1}', ['Input Text', 'id-1'], '<Input Text><id-1>'],
  ['{{question}} {{{a}}} }}{{', ['a'], '{question} {<a>} }{'],
  ['{"q": {question}}', ['question'], '{"q": <question>}'],
  ['{} { x\n} {question}', ['question'], '{} { x\n} <question>'],
])('%j', (prompt, names, text) => {
  expect(promptNames(prompt)).toEqual(names);
  expect(fillPrompt(prompt, (name) => `<${name}>`)).toBe(text);
});

test('what is filled in is text, whatever it holds', () => {
  expect(fillPrompt('{a}|{b}', (name) => (name === 'a' ? '$& {b} {{' : '$1'))).toBe('$& {b} {{|$1');
});
