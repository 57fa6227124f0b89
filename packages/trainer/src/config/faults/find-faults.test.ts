import { expect, test } from 'vitest';
import { runConfigSchema } from '../config.js';
import { describeFault, sortFaults } from './config-fault.js';
import { findFaults } from './find-faults.js';

const whole = { base: 'b', data: { train: 'a.jsonl' } };
const linesOf = (fields: object): string[] =>
  sortFaults(findFaults(runConfigSchema, fields)).map((fault) => describeFault(fault));

test.each<[string, object, string[]]>([
  // Names of other tools, at the top and nested.
  ['base_model', { base_model: 'b', data: whole.data }, ['base_model is not an option; write base']],
  [
    'model_name_or_path',
    { model_name_or_path: 'b', data: whole.data },
    ['model_name_or_path is not an option; write base'],
  ],
  ['lr', { ...whole, lr: 1 }, ['lr is not an option; write train.learningRate']],
  [
    'train.learning_rate',
    { ...whole, train: { learning_rate: 1 } },
    ['train.learning_rate is not an option; write train.learningRate'],
  ],
  ['rank', { ...whole, rank: 8 }, ['rank is not an option; write adapter.r']],
  ['lora_r in train', { ...whole, train: { lora_r: 8 } }, ['train.lora_r is not an option; write adapter.r']],
  ['lora_alpha', { ...whole, lora_alpha: 8 }, ['lora_alpha is not an option; write adapter.lora_alpha']],
  ['num_train_epochs', { ...whole, num_train_epochs: 3 }, ['num_train_epochs is not an option; write train.epochs']],
  ['max_steps', { ...whole, max_steps: 3 }, ['max_steps is not an option; write train.steps']],
  ['output_dir', { ...whole, output_dir: 'x' }, ['output_dir is not an option; write out']],
  [
    'warmup_ratio',
    { ...whole, warmup_ratio: 0.1 },
    [
      'warmup_ratio is not an option; write train.warmupSteps (a number of steps: the ratio times all steps of the run)',
    ],
  ],
  ['sequence_len', { ...whole, sequence_len: 1 }, ['sequence_len is not an option; write data.maxTokens (in tokens)']],
  [
    'gradient_checkpointing',
    { ...whole, gradient_checkpointing: true },
    ['gradient_checkpointing is not an option; write train.recompute (true or false)'],
  ],
  [
    'layer_replication',
    { ...whole, layer_replication: [] },
    ["layer_replication is not an option; write expansion.layer_map (beside kind: 'layer_map')"],
  ],
  [
    'datasets',
    { base: 'b', datasets: [] },
    ['datasets is not an option; write data.train (the name of a file, a folder, or a list of these)'],
  ],
  [
    'a group of another tool',
    { ...whole, training: { lr: 1, epochs: 2 } },
    [
      'training is not an option; write train',
      'training.epochs is not an option; write train.epochs',
      'training.lr is not an option; write train.learningRate',
    ],
  ],
  // What there is not.
  [
    'load_in_4bit',
    { ...whole, load_in_4bit: true },
    [
      'load_in_4bit is not an option; Glulam does not quantize the base; it maps the files, whose memory all virtual layers share',
    ],
  ],
  [
    'fp16',
    { ...whole, train: { fp16: true } },
    ["train.fp16 is not an option; Glulam does not compute in float16; choose precision: 'bfloat16' or 'float32'"],
  ],
  // Our own keys at another level, or misspelt.
  ['seed in train', { ...whole, train: { seed: 1 } }, ['train.seed is not an option; write seed']],
  [
    'learningRate at the top',
    { ...whole, learningRate: 1 },
    ['learningRate is not an option; write train.learningRate'],
  ],
  [
    'every at the top',
    { ...whole, every: 1 },
    ['every is not an option; did you mean evaluate.every or checkpoint.every?'],
  ],
  [
    'a misspelt key',
    { ...whole, train: { warmpSteps: 1 } },
    ['train.warmpSteps is not an option; did you mean train.warmupSteps?'],
  ],
  ['a misspelt required key', { bas: 'b', data: whole.data }, ['bas is not an option; did you mean base?']],
  [
    'a key like none',
    { ...whole, checkpoint: { qqqqqqqq: 1 } },
    ['checkpoint.qqqqqqqq is not an option; known: every, keep'],
  ],
  // Missing keys.
  [
    'an empty config',
    {},
    [
      'base is missing; for example base: "mistralai/Mistral-7B-v0.3"',
      'data is missing; for example data: {"train":"rows.jsonl"}',
    ],
  ],
  ['data without files', { base: 'b', data: {} }, ['data.train is missing; for example train: "rows.jsonl"']],
  ['a choice without a kind', { ...whole, expansion: {} }, ['expansion.kind is missing']],
  // Values.
  ['a text for a number', { ...whole, train: { steps: 'ten' } }, ['train.steps: expected a whole number, got "ten"']],
  ['a fraction', { ...whole, train: { steps: 1.5 } }, ['train.steps: expected a whole number, got 1.5']],
  ['a number too small', { ...whole, train: { batch: 0 } }, ['train.batch: expected a number above 0, got 0']],
  ['a negative seed', { ...whole, seed: -1 }, ['seed: expected a number of at least 0, got -1']],
  ['not a number', { ...whole, train: { learningRate: NaN } }, ['train.learningRate: expected a number, got NaN']],
  [
    'none of the names',
    { ...whole, train: { schedule: 'cosin' } },
    [
      'train.schedule: expected "cosine", "linear" or "constant", or in code a function, got "cosin"; did you mean "cosine"?',
    ],
  ],
  [
    'a number for a name',
    { ...whole, train: { schedule: 5 } },
    ['train.schedule: expected "cosine", "linear" or "constant", or in code a function, got 5'],
  ],
  [
    'a name like none',
    { ...whole, precision: 'int4' },
    ['precision: expected "auto", "bfloat16" or "float32", got "int4"'],
  ],
  [
    'a misspelt key of a file',
    { ...whole, data: { train: { flie: 'a' } } },
    ['data.train.flie is not an option; did you mean data.train.file?'],
  ],
  [
    'a kind alone in a file',
    { ...whole, data: { train: { file: 'a', format: 'text' } } },
    ['data.train.format: expected a record, got "text"; write format: { kind: "text" }'],
  ],
  [
    'a kind alone in one of several files',
    { ...whole, data: { train: ['a', { file: 'b', format: 5 }] } },
    ['data.train.1.format: expected a record, got 5'],
  ],
  [
    'a weight that is none',
    { ...whole, data: { train: [{ file: 'b', weight: 'x' }] } },
    ['data.train.0.weight: expected a number, got "x"'],
  ],
  [
    'a kind alone in held-out data',
    { ...whole, data: { train: 'a', heldOut: { file: 'b', format: 'text' } } },
    ['data.heldOut.format: expected a record, got "text"; write format: { kind: "text" }'],
  ],
  [
    'recorded rows with a wrong hash',
    { ...whole, data: { train: { rows: { count: 1, sha256: 'x' } } } },
    ['data.train.rows.sha256: Invalid string: must match pattern /^[0-9a-f]{64}$/, got "x"'],
  ],
  [
    'a batch of tokens that is none',
    { ...whole, train: { batch: { tokens: 'x' } } },
    ['train.batch.tokens: expected a whole number, got "x"'],
  ],
  [
    'a misspelt key of a batch',
    { ...whole, train: { batch: { tokns: 5 } } },
    ['train.batch.tokns is not an option; did you mean train.batch.tokens?'],
  ],
  [
    'a batch that is neither',
    { ...whole, train: { batch: 'x' } },
    ['train.batch: expected a whole number or a record, got "x"'],
  ],
  ['a misspelt group', { ...whole, trian: { steps: 3 } }, ['trian is not an option; did you mean train?']],
  [
    'a misspelt group with a key of another',
    { ...whole, trian: { lr: 3 } },
    ['trian is not an option; did you mean train?', 'trian.lr is not an option; write train.learningRate'],
  ],
  [
    'a kind alone',
    { ...whole, adapter: 'lora' },
    ['adapter: expected a record, got "lora"; write adapter: { kind: "lora" }'],
  ],
  ['a list for files', { ...whole, data: { train: 5 } }, ['data.train: expected a text, a record or a list, got 5']],
  ['an empty list', { ...whole, data: { train: [] } }, ['data.train: expected a list that is not empty, got []']],
  [
    'a share that is none',
    { ...whole, data: { train: 'a', heldOut: 1.5 } },
    ['data.heldOut: expected a share below 1, or a whole number of rows, got 1.5'],
  ],
  ['null', { ...whole, train: null }, ['train: expected a record, got null']],
])('%s', (_, fields, lines) => {
  expect(linesOf(fields)).toEqual(lines);
});

test('a kind that is written as a text is compared with those that there are', () => {
  const fields = { ...whole, adapter: 'lorra', engine: 'native' };
  const faults = findFaults(runConfigSchema, fields, [], (id) =>
    id === 'model.adapters' ? ['lora', 'dora'] : ['native'],
  );
  expect(sortFaults(faults).map((fault) => describeFault(fault))).toEqual([
    'adapter: expected a record, got "lorra"; did you mean adapter: { kind: "lora" }?',
    'engine: expected a record, got "native"; write engine: { kind: "native" }',
  ]);
});
