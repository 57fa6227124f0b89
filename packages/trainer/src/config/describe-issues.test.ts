import { lowRankSchema } from '@glulam/model';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { runConfigSchema } from './config.js';
import { describeIssues } from './describe-issues.js';

function linesOf(schema: z.ZodType, value: unknown, place?: string): string[] {
  const { error } = schema.safeParse(value);
  return error === undefined ? [] : describeIssues(error, schema, place);
}
const data = { train: 'a.jsonl' };

test('a misspelt key is named with its place and the nearest known one, also within lists and alternatives', () => {
  expect(linesOf(runConfigSchema, { base: 'b', data, trian: {} })).toEqual([
    'trian is not an option; did you mean train?',
  ]);
  expect(linesOf(runConfigSchema, { base: 'b', data: { train: [{ file: 'a', weigth: 2 }] } })).toEqual([
    'data.train.0.weigth is not an option; did you mean data.train.0.weight?',
  ]);
  expect(linesOf(runConfigSchema, { base: 'b', data, train: { batch: { token: 4096 } } })).toEqual([
    'train.batch.tokens is missing',
    'train.batch.token is not an option; did you mean train.batch.tokens?',
  ]);
  expect(linesOf(lowRankSchema, { r: { first: 0, repeat: 8 } }, 'adapter')).toEqual([
    'adapter.r.repeats is missing',
    'adapter.r.repeat is not an option; did you mean adapter.r.repeats?',
  ]);
  expect(linesOf(z.strictObject({}), { r: 8 }, 'adapter')).toEqual(['adapter.r is not an option; known: none']);
});

test('where no alternative takes such a value, all of them are named', () => {
  expect(linesOf(lowRankSchema, { r: 'eight' }, 'adapter')).toEqual(['adapter.r: expected a whole number or a record']);
  expect(linesOf(lowRankSchema, { bias: 'some' })).toEqual(['bias: expected "none", "all" or "lora_only"']);
});
