import { expect, test } from 'vitest';
import { tasksOf } from './prompts.js';

const problems = Array.from({ length: 6 }, (_, i) => ({ question: `q${i}`, answer: `${i}\n#### ${i}` }));
const examples = Array.from({ length: 9 }, (_, i) => ({ question: `e${i}`, answer: `<<${i}>>${i}\n#### ${i}` }));
const example = (i: number) => `Question: e${i}\nAnswer: <<${i}>>${i}\n#### ${i}`;

// The orders are those that CPython's random module gives.
test('current: the file’s order, examples drawn with seed 1234', () => {
  const tasks = tasksOf(problems, examples, { profile: 'current', shots: 2, limit: 3 });
  expect(tasks.map(({ prompt }) => prompt)).toEqual(
    [
      [7, 1],
      [0, 1],
      [0, 1],
    ].map(([a, b], i) => `${example(a!)}\n\n${example(b!)}\n\nQuestion: q${i}\nAnswer:`),
  );
});

test('v1: shuffled with seed 42, examples drawn on from there', () => {
  const tasks = tasksOf(problems, examples, { profile: 'v1', shots: 2 });
  expect(tasks.map(({ index }) => index)).toEqual([3, 1, 2, 4, 0, 5]);
  expect(tasks[2]!.prompt).toBe(`${example(8)}\n\n${example(1)}\n\nQuestion: q2\nAnswer:`);
});

test('without examples the question stands alone', () => {
  expect(tasksOf(problems, [], { profile: 'current', shots: 0 })[1]!.prompt).toBe('Question: q1\nAnswer:');
});

test('cot: the paper’s examples before every question, or the first of them', () => {
  const [task] = tasksOf(problems, [], { profile: 'cot', shots: 8, limit: 1 });
  expect(task!.prompt.match(/^Q: /gm)).toHaveLength(9);
  expect(task!.prompt).toMatch(/^Q: There are 15 trees in the grove\.[^]*The answer is 8\.\n\nQ: q0\nA:$/);
  const [first] = tasksOf(problems, [], { profile: 'cot', shots: 1, limit: 1 });
  expect(first!.prompt.match(/^A: /gm)).toHaveLength(1);
});
