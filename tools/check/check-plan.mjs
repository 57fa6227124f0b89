// `npm run check:plan`: trains on twelve shapes, each in a process of its own, and compares the peak of its anonymous memory
// with what the plan foretold. Ends with 1 where one is off by more than 10% and more than 50 MB. `-- --tiny`: only
// five of the eight shapes of the tiny model, which need no checkpoint to be made.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isForetold, planAndTrain } from './plan-and-train.mjs';
import { prepare, root } from '../prepare.mjs';

const small = path.join(root, 'bench/work/small');
process.exitCode = await checkAll(parseArgs({ options: { tiny: { type: 'boolean', default: false } } }).values.tiny);

async function checkAll(tinyOnly) {
  if (process.platform !== 'linux') {
    console.log('skipped: anonymous memory is read from /proc, which this system does not have');
    return 0;
  }
  prepare();
  const chosen = tinyOnly ? shapes().filter(({ isQuick }) => isQuick) : shapes();
  if (!tinyOnly) {
    const { makeTrainable } = await import('../bench/measure/make-trainable.mjs');
    await makeTrainable('small');
  }
  const work = mkdtempSync(path.join(tmpdir(), 'glulam-plan-'));
  let wrong = 0;
  console.log(
    'shape'.padEnd(52) +
      'tokens'.padStart(8) +
      'planned, MB'.padStart(13) +
      'measured, MB'.padStart(14) +
      'off'.padStart(8),
  );
  for (const [index, { name, isQuick: _, ...changes }] of chosen.entries()) {
    const config = configOf(changes, path.join(work, String(index)));
    const { planned, tokens, measured } = await planAndTrain(config);
    const off = planned - measured;
    const fine = isForetold({ planned, measured });
    if (!fine) wrong += 1;
    const megabytes = (value) => (value / 1e6).toFixed(0);
    console.log(
      name.padEnd(52) +
        String(tokens).padStart(8) +
        megabytes(planned).padStart(13) +
        megabytes(measured).padStart(14) +
        `${((100 * off) / measured).toFixed(0)}%`.padStart(8) +
        (fine ? '' : '  wrong'),
    );
  }
  rmSync(work, { recursive: true });
  return wrong === 0 ? 0 : 1;
}

function shapes() {
  return [
    { name: 'tiny, the quickstart', isQuick: true, train: { batch: 8 } },
    { name: 'tiny, one example a batch', train: { batch: 1 } },
    { name: 'tiny, batches of 4096 tokens', train: { batch: { tokens: 4096 } } },
    {
      name: 'tiny, 8192 tokens, recomputation',
      isQuick: true,
      train: { batch: { tokens: 8192 }, recompute: true },
    },
    {
      name: 'tiny, float32, 2048 tokens, base as it is',
      isQuick: true,
      train: { batch: { tokens: 2048 } },
      precision: 'float32',
      expansion: undefined,
    },
    {
      name: 'tiny, rank 256, two batches a step',
      train: { batch: 4, accumulate: 2 },
      adapter: { kind: 'lora', r: 256 },
    },
    {
      name: 'tiny, gated repeats',
      isQuick: true,
      train: { batch: { tokens: 1024 } },
      expansion: { kind: 'interleave', every: 1, gate: 'learned' },
    },
    {
      name: 'tiny, the whole model, two batches a step',
      isQuick: true,
      train: { batch: 4, accumulate: 2, learningRate: 2e-4 },
      adapter: { kind: 'full' },
    },
    { name: 'small, 1024 tokens', base: small, train: { batch: { tokens: 1024 } } },
    {
      name: 'small, 2048 tokens, recomputation, rank 64',
      base: small,
      train: { batch: { tokens: 2048 }, recompute: true },
      adapter: { kind: 'lora', r: 64 },
    },
    {
      name: 'small, float32, 512 tokens, value projections',
      base: small,
      precision: 'float32',
      train: { batch: { tokens: 512 } },
      adapter: { kind: 'lora', target_modules: ['v_proj'] },
    },
    {
      name: 'small, the whole model, 512 tokens',
      base: small,
      train: { batch: { tokens: 512 }, learningRate: 2e-4 },
      adapter: { kind: 'full' },
    },
  ];
}

function configOf({ train, ...changes }, out) {
  return {
    base: path.join(root, 'examples/models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    data: {
      train: path.join(root, 'examples/data/word-problems.train.jsonl'),
      heldOut: path.join(root, 'examples/data/word-problems.heldout.jsonl'),
      cache: path.join(out, '../cache'),
    },
    train: { steps: 4, ...train },
    reporters: [],
    out,
    ...changes,
  };
}
