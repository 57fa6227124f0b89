import type { RunEvent } from '@glulam/trainer';

/** What a run told: every type of event, in the loop's order, with `steps` steps. For tests of reporters. */
export function recordedRun(folder: string, steps = 6): RunEvent[] {
  const tick = clock();
  return [
    { type: 'warning', time: tick(), message: 'told before the run folder is there' },
    { type: 'input.fetching', time: tick(), name: 'owner/base@main', bytes: 1_000_000_000, totalBytes: 14_500_000_000 },
    {
      type: 'input.fetching',
      time: tick(),
      name: 'owner/base@main',
      bytes: 14_500_000_000,
      totalBytes: 14_500_000_000,
    },
    { type: 'data.reading', time: tick(), file: '/data/train.jsonl', rows: 600 },
    started(folder, steps, tick()),
    ...['train' as const, 'heldOut' as const].map((use): RunEvent => {
      const counts = { rows: 1200, examples: 1190, tokens: 45_678, trainedTokens: 12_345 };
      const skipped = [{ reason: 'longer than 2048 tokens', count: 10, rowNumbers: [3, 44] }];
      const notes = [{ note: 'roles were mended', count: 2 }];
      return {
        type: 'data.read',
        time: tick(),
        use,
        file: `/data/${use}.jsonl`,
        format: 'chat',
        ...counts,
        skipped,
        notes,
      };
    }),
    { type: 'evaluation.running', time: tick(), step: 0, evaluator: 'quiz', done: 640, total: 1319 },
    evaluated(0, tick()),
    ...stepsOf(1, steps, steps, tick),
    { type: 'checkpoint.saved', time: tick(), step: steps, folder: `${folder}/checkpoints/last`, best: true },
    {
      type: 'plugin',
      time: tick(),
      name: 'stranger.told',
      data: { text: 'ünï\n"quoted"', list: [1, null, { a: true }] },
    },
    { type: 'warning', time: tick(), message: 'a line\nand another' },
    {
      type: 'adapter.saved',
      time: tick(),
      step: steps,
      folder: `${folder}/adapter`,
      last: { step: steps, value: 0.25 },
      best: { step: steps, value: 0.25 },
      watched: 'quiz accuracy',
    },
    { type: 'run.finished', time: tick(), folder, seconds: 3725, peakBytes: 2_400_000_000 },
  ];
}

/** Fails within its steps, by values that are not finite. */
export function failedRun(folder: string): RunEvent[] {
  const tick = clock();
  const [, second] = stepsOf(1, 2, 6, tick);
  return [
    started(folder, 6, tick()),
    ...stepsOf(1, 1, 6, tick),
    { ...second!, loss: NaN, gradientNorm: Infinity } as RunEvent,
    { type: 'run.failed', time: tick(), code: 'LOSS_NOT_FINITE', message: 'the loss is not finite' },
  ];
}

/** The sittings of a run: stopped at step 4, killed at step 5, and gone on with twice, from step 4 on. */
export function resumedRun(folder: string): RunEvent[][] {
  const tick = clock();
  const resumed = (): RunEvent => ({ ...started(folder, 6, tick()), resumedFrom: 4 }) as RunEvent;
  return [
    [
      started(folder, 6, tick()),
      ...stepsOf(1, 4, 6, tick),
      { type: 'checkpoint.saved', time: tick(), step: 4, folder: `${folder}/checkpoints/4`, best: false },
      { type: 'run.stopped', time: tick(), step: 4, reason: 'interrupted' },
      { type: 'run.finished', time: tick(), folder, seconds: 4 },
    ],
    [resumed(), ...stepsOf(5, 5, 6, tick)],
    [resumed(), ...stepsOf(5, 6, 6, tick), { type: 'run.finished', time: tick(), folder, seconds: 2 }],
  ];
}

/** A second passes between two events. */
function clock(): () => number {
  let time = 1_700_000_000_000;
  return () => (time += 1000);
}

const started = (folder: string, steps: number, time: number): RunEvent => ({
  type: 'run.started',
  time,
  folder,
  engine: 'recorded (no engine), float32',
  physicalLayers: 8,
  virtualLayers: 12,
  trainableParameters: 325_632,
  steps,
  examples: 1190,
});

const evaluated = (step: number, time: number): RunEvent => ({
  type: 'evaluation.finished',
  time,
  step,
  evaluator: 'quiz',
  scores: { accuracy: 0.25 + step / 100_000, questions: 1319 },
});

/** Every second step is evaluated. */
const stepsOf = (from: number, to: number, steps: number, tick: () => number): RunEvent[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index).flatMap((step): RunEvent[] => [
    {
      type: 'step.finished',
      time: tick(),
      step,
      steps,
      loss: 4 / (1 + step),
      gradientNorm: 1 / step,
      learningRate: 2e-4,
      tokens: 512,
      tokensPerSecond: 512,
    },
    ...(step % 2 === 0 ? [evaluated(step, tick())] : []),
  ]);
