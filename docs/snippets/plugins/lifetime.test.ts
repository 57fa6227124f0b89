import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run, type RunEvent } from 'glulam';
import { expect, test } from 'vitest';
import improvement from './lifetime.js';

const examples = path.resolve(import.meta.dirname, '../../../examples');

test('each run begins with an improvement of 0, also two at once', async () => {
  const runOnce = async (name: string) => {
    const scores: number[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.type === 'evaluation.finished') scores.push(event.scores['improvement']!);
    };
    await run(
      {
        base: path.join(examples, 'models/tiny-mistral-gsm8k'),
        engine: { kind: 'native' },
        adapter: { kind: 'lora', r: 4 },
        data: { train: path.join(examples, 'data/word-problems.heldout.jsonl'), heldOut: 2 },
        train: { steps: 2, batch: 1, learningRate: 0.01 },
        evaluate: { evaluators: [{ kind: 'improvement' }], every: 1 },
        plugins: [improvement()],
        out: path.join(mkdtempSync(path.join(tmpdir(), 'glulam-improvement-')), name),
      },
      { onEvent },
    );
    return scores;
  };
  for (const scores of await Promise.all([runOnce('one'), runOnce('two')])) {
    expect(scores[0]).toBe(0);
    expect(scores.at(-1)).not.toBe(0);
  }
});
