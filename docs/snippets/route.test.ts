import path from 'node:path';
import { resolveConfig } from 'glulam';
import { generateTokens } from '@glulam/model';
import { bindModel, openBase } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { looped } from './route.js';

const examples = path.resolve(import.meta.dirname, '../../examples');

test('once is the base, and three times is another model', async () => {
  const { config, composition } = resolveConfig(
    {
      base: path.join(examples, 'models/tiny-mistral-gsm8k'),
      adapter: { kind: 'lora', r: 4 },
      data: { train: path.join(examples, 'data/word-problems.train.jsonl') },
      out: 'unused',
    },
    [],
    examples,
  );
  const base = await openBase(config, composition);
  const tokensOf = async (repeats: number | undefined): Promise<number[]> => {
    const route = repeats === undefined ? undefined : looped(repeats);
    const decoder = await bindModel(base, { adapter: undefined, route });
    const tokens: number[] = [];
    for await (const id of generateTokens(decoder, [1, 40, 41, 42], { maxNewTokens: 8 })) tokens.push(id);
    decoder.close();
    return tokens;
  };
  const plain = await tokensOf(undefined);
  expect(await tokensOf(1)).toEqual(plain);
  expect(await tokensOf(3)).not.toEqual(plain);
  await base.close();
});

test('a cut is before the repeats that have a gradient', () => {
  expect(looped(3, 2).findIndex(({ kind }) => kind === 'cut')).toBe(6);
  expect(looped(3).some(({ kind }) => kind === 'cut')).toBe(false);
});
