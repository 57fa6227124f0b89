import { expect, test } from 'vitest';
import { runConfigSchema } from './config.js';
import { configDifference, inTodaysWords } from './config-difference.js';
import { defaultPrompt } from '../data/prompt/prompt-text.js';

test('names every value that changed, by its path', () => {
  const before = {
    seed: 0,
    train: { steps: 10, batch: { tokens: 512 } },
    data: { train: ['a', 'b'] },
    expansion: null,
  };
  const now = {
    seed: 0,
    train: { steps: 12, batch: 8 },
    data: { train: ['b', 'a'] },
    adapter: { r: 4 },
    expansion: null,
  };
  expect(configDifference(before, now)).toEqual([
    'train.steps: was 10, is 12',
    'train.batch: was {"tokens":512}, is 8',
    'data.train: was ["a","b"], is ["b","a"]',
    'adapter: was not set, is {"r":4}',
  ]);
  expect(configDifference(before, structuredClone(before))).toEqual([]);
});

test('lets pass what has no say in the numbers, and nothing beside it', () => {
  const before = { out: 'a', reporters: [], checkpoint: { every: 1 }, data: { cache: 'x', train: 'f' } };
  const now = { out: 'b', reporters: [{ kind: 'jsonl' }], checkpoint: { every: 2 }, data: { train: 'g' } };
  expect(configDifference(before, now)).toEqual(['data.train: was "f", is "g"']);
});

test('a config of an older version is compared as it is read today', () => {
  const now = JSON.parse(JSON.stringify(runConfigSchema.parse({ base: 'b', data: { train: 'f' }, out: 'o' }))) as {
    data: Record<string, unknown>;
  };
  const { rewrittenTurns, ...data } = now.data;
  expect(rewrittenTurns).toBe('each');
  const older = { ...now, data: { ...data, prompt: defaultPrompt } };
  expect(configDifference(inTodaysWords(older), inTodaysWords(now))).toEqual([]);
  const others = { ...older, data: { ...older.data, prompt: '{question}', rewrittenTurns: 'last' } };
  expect(configDifference(inTodaysWords(others), inTodaysWords(now))).toEqual([
    'data.prompt: was "{question}", is not set',
    'data.rewrittenTurns: was "last", is "each"',
  ]);
  expect(inTodaysWords({ unknown: 1 })).toEqual({ unknown: 1 });
});
