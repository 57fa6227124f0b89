import path from 'node:path';
import {
  defineConfig,
  evaluate,
  generate,
  merge,
  ModelError,
  openModel,
  run,
  TrainerError,
  type Row,
  type RunEvent,
} from 'glulam';
import { filter, map, pairwise, tap } from 'rxjs';

const examples = path.resolve(import.meta.dirname, '../../examples');

// region train
export function trainOn(rows: readonly Row[], out: string, signal?: AbortSignal) {
  const config = defineConfig({
    base: 'models/tiny-mistral-gsm8k',
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 8 },
    data: { train: { rows }, heldOut: 'data/word-problems.heldout.jsonl' },
    train: { steps: 6, batch: 4, learningRate: 2e-3, schedule: (step, { steps }) => (1 - step / steps) ** 2 },
    evaluate: { evaluators: [{ kind: 'loss', limit: 8 }] },
    out,
  });
  return run(config, { folder: examples, resume: true, signal });
}
// endregion train

// region rows
/** Rows as a database gives them: the function is called whenever they are read, and gives the same rows each time. */
export const fromDatabase = (query: () => AsyncIterable<Row>) =>
  defineConfig({
    base: 'models/tiny-mistral-gsm8k',
    data: {
      train: [
        { rows: query, weight: 3 },
        { file: 'data/word-problems.train.jsonl', weight: 1 },
      ],
    },
    train: { steps: 2, batch: 4 },
  });
// endregion rows

// region events
export async function slowestStep(folder: string, overrides: Record<string, unknown>): Promise<number> {
  let slowest = 0;
  await run(path.join(examples, 'quickstart/glulam.config.ts'), {
    overrides: { ...overrides, out: folder },
    // Asked for between two steps, as the run itself does at its end.
    onEvent: (event, ask) => void (event.type === 'step.finished' && event.step === 2 && ask('checkpoint')),
    listen: (events) =>
      events.pipe(
        filter((event): event is Extract<RunEvent, { type: 'step.finished' }> => event.type === 'step.finished'),
        map(({ time }) => time),
        pairwise(),
        tap(([before, now]) => (slowest = Math.max(slowest, now - before))),
      ),
  });
  return slowest;
}
// endregion events

// region use
export async function useRun(folder: string, merged: string) {
  const model = await openModel(folder);
  try {
    const [loss] = await evaluate(model, { limit: 8 });
    let answer = '';
    for await (const piece of generate(model, { question: 'What is 2 + 3?', maxTokens: 16 })) answer += piece;
    const { layers } = await merge(folder, { out: merged, dtype: 'bfloat16' });
    return { loss: loss!.scores['loss'], answer, layers };
  } finally {
    await model.close();
  }
}
// endregion use

// region errors
export async function trainUnlessThere(rows: readonly Row[], out: string): Promise<string> {
  try {
    return (await trainOn(rows, out)).adapterFolder;
  } catch (error) {
    if (error instanceof TrainerError && error.code === 'RUN_CHANGED')
      return 'begun with other rows: choose another out';
    if (error instanceof ModelError && error.code === 'CHECKPOINT_INVALID') return 'download the base again';
    throw error;
  }
}
// endregion errors
