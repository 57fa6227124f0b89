import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
// @ts-expect-error a plain script without types
import { makeWordProblems, toJsonLines } from './make-word-problems.mjs';

const read = (name: string) => readFileSync(new URL(`../examples/data/${name}.jsonl`, import.meta.url), 'utf8');
const rows = (text: string) => text.trim().split('\n').map((line) => JSON.parse(line) as { question: string; answer: string });

test('the shipped files come from their seeds, and share no question', () => {
  const heldOut = rows(read('word-problems.heldout'));
  const questions = new Set(heldOut.map(({ question }) => question));
  expect(toJsonLines(makeWordProblems(64, 2))).toBe(read('word-problems.heldout'));
  expect(toJsonLines(makeWordProblems(800, 1, questions))).toBe(read('word-problems.train'));
  expect(rows(read('word-problems.train')).filter(({ question }) => questions.has(question))).toEqual([]);
});

test('every stated step is right, whole and not negative, and the last one is the answer', () => {
  const compute: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
  };
  for (const { question, answer } of [...rows(read('word-problems.train')), ...rows(read('word-problems.heldout'))]) {
    const steps = [...answer.matchAll(/(\d+) ([-+*/]) (\d+) = (\d+)/g)];
    expect(steps.length, question).toBeGreaterThan(0);
    for (const [text, a, sign, b, result] of steps) expect(compute[sign!]!(Number(a), Number(b)), text).toBe(Number(result));
    expect(answer.endsWith(`\n#### ${steps.at(-1)![4]}`)).toBe(true);
  }
});
