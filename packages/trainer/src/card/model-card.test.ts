import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordedRun, resumedRun } from '@glulam/testing';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runConfigSchema } from '../config/config.js';
import type { RunEvent } from '../events/events.js';
import type { RunPlan } from '../plan/plan-run.js';
import { readBaseLicence } from './base-card.js';
import { drawChart, type Chart } from '../charts/draw-chart.js';
import { lossChart, type LossPoint } from './loss-chart.js';
import { mergedCard, modelCard, type CardFacts } from './model-card.js';
import { tellStory } from './run-story.js';
import { writeCard } from './write-card.js';

const commit = 'c'.repeat(40);
const plan: RunPlan = {
  base: '/cache/base',
  family: 'mistral',
  hasWeights: true,
  physicalLayers: 4,
  layers: [0, 1, 2, 1, 2, 3].map((physical) => ({ physical })),
  parameters: { stored: 7_241_732_096, effective: 10_731_524_096, trainable: 325_632 },
  engine: { kind: 'native', precision: 'bfloat16', hasPlan: true },
  batch: { sequences: 8, tokens: 1024, perStep: 1, fromData: true },
  recompute: false,
  bytes: {
    weights: 14_483_464_192,
    weightCopies: 0,
    adapters: 1,
    gradients: 1,
    optimizer: 2,
    activations: 3,
    logits: 4,
    process: 5,
    device: 0,
    written: 1,
    peak: 2_500_000_000,
    keyValuesPerToken: 196_608,
  },
  memory: { available: 1, total: 2, limit: undefined },
  verdict: 'fits',
  warnings: [],
};

const factsOf = (more: Partial<CardFacts> = {}): CardFacts => ({
  config: runConfigSchema.parse({
    base: `owner/base@${commit}`,
    data: { train: `hf://datasets/owner/rows@${commit}/train.jsonl` },
    evaluate: { evaluators: [{ kind: 'quiz', file: `hf://datasets/owner/quiz@${commit}/q.jsonl` }] },
  }),
  plan,
  story: tellStory(recordedRun('/run')),
  licence: { hasCard: true, license: 'apache-2.0' },
  adapter: { kind: 'lora', options: { r: 8, lora_alpha: 16, layers_to_transform: null } },
  engine: 'native (avx512), bfloat16',
  step: 6,
  steps: 6,
  last: { step: 6, value: 0.25006 },
  best: undefined,
  dataNames: new Map([
    ['/data/train.jsonl', `hf://datasets/owner/rows@${commit}/train.jsonl`],
    ['/data/heldOut.jsonl', '/home/somebody/heldOut.jsonl'],
  ]),
  isPeft: true,
  prompt: undefined,
  ...more,
});

const frontOf = (card: string): unknown => parse(/^---\n([\s\S]*?)\n---\n/.exec(card)![1]!);

describe('a card', () => {
  test('has a front matter as the Hub reads it', () => {
    expect(frontOf(modelCard(factsOf()))).toEqual({
      license: 'apache-2.0',
      base_model: 'owner/base',
      base_model_relation: 'adapter',
      datasets: ['owner/rows'],
      library_name: 'peft',
      pipeline_tag: 'text-generation',
      tags: ['glulam', 'lora', 'base_model:adapter:owner/base', 'layer-replication'],
      'model-index': [
        {
          name: 'base, 6 layers, lora',
          results: [
            {
              task: { type: 'text-generation' },
              dataset: { type: 'owner/quiz', name: 'quiz' },
              metrics: [{ type: 'accuracy', value: expect.closeTo(0.25006) }],
            },
          ],
        },
      ],
    });
  });

  test('of an earlier step than the last gives the scores of that step', () => {
    const card = modelCard(factsOf({ best: { step: 4, value: 0.25004 } }));
    expect(card).toContain(
      'This is the adapter of step 4 (loss 0.2500), which had the best score, not that of the last step, step 6 (loss 0.2501).',
    );
    expect(card).toContain('| score | before training | this adapter (step 4) | at the end |');
    expect(card).toContain('| quiz accuracy | 0.2500 | 0.2500 | 0.2501 (step 6) |');
    expect(frontOf(card)).toMatchObject({
      'model-index': [{ results: [{ metrics: [{ value: expect.closeTo(0.25004) as number }] }] }],
    });
  });

  test('says how to prompt the model where its rows asked', () => {
    expect(modelCard(factsOf())).not.toContain('How to prompt it');
    const text = 'Question: {question}\n```\nAnswer:';
    expect(modelCard(factsOf({ prompt: { kind: 'question', text } }))).toContain(
      '## How to prompt it\n\nIt was trained to answer after this text, with the question in the place of `{question}`, and answers badly without it:\n\n' +
        `\`\`\`\`text\n${text}\n\`\`\`\`\n\nAs a string, with an example:\n\n` +
        '````python\nprompt = "Question: How many legs do two spiders have?\\n```\\nAnswer:"\n````\n',
    );
    expect(modelCard(factsOf({ prompt: { kind: 'conversation', text: undefined } }))).toContain(
      '`tokenizer.apply_chat_template(messages, add_generation_prompt=True)`',
    );
  });

  test('tells the run', () => {
    const card = modelCard(factsOf());
    expect(card).toContain('whose 4 layers are laid out as 6 virtual ones');
    expect(card).toContain('Layer map `[[0,3],[1,4]]`');
    expect(card).toContain('    0..2  ███·\n    3..5  ·███');
    expect(card).toMatch(
      /\| training \| \[owner\/rows\]\(https:\/\/huggingface.co\/datasets\/owner\/rows\) \(`c{40}`\), `train.jsonl` \| chat \| 1,200 \| 1,190 \| 45,678 \| 10 \|/,
    );
    expect(card).toContain('| memory besides, planned peak | 2.50 GB |\n| memory besides, measured peak | 2.40 GB |');
    expect(card).toContain('| adapter | lora, r 8, lora_alpha 16 |');
    expect(card).toContain('| time | 1 h 2 min |');
    expect(card).toContain('| quiz accuracy | 0.2500 | 0.2501 (step 6) |');
    expect(card).toContain(`AutoModelForCausalLM.from_pretrained("owner/base", revision="${commit}")`);
  });

  test('tells nothing of this machine’s folders, and nothing that is not known', () => {
    const config = runConfigSchema.parse({
      base: '/home/somebody/models/base',
      data: { train: '/home/somebody/train.jsonl' },
    });
    const none = tellStory([]);
    const card = modelCard(
      factsOf({ config, licence: { hasCard: false }, story: none, dataNames: new Map(), isPeft: false }),
    );
    expect(card).not.toContain('somebody');
    expect(frontOf(card)).toEqual({
      library_name: 'glulam',
      pipeline_tag: 'text-generation',
      tags: ['glulam', 'lora', 'layer-replication'],
    });
    expect(card).toMatch(/Not known: the base came without a card[\s\S]*PEFT cannot read it/);
    expect(card).not.toMatch(/## Evaluation|## Loss|measured|undefined|NaN/);
    expect(
      modelCard(
        factsOf({
          story: tellStory(recordedRun('/run')),
          dataNames: new Map([['/data/heldOut.jsonl', '/home/somebody/heldOut.jsonl']]),
        }),
      ),
    ).not.toContain('somebody');
  });

  test('of a run that was stopped says so, and standard errors are told', () => {
    const evaluation: RunEvent = {
      type: 'evaluation.finished',
      time: 1,
      step: 3,
      evaluator: 'gsm8k',
      scores: { strict: 0.37, strict_stderr: 0.0133 },
    };
    const card = modelCard(factsOf({ step: 3, story: tellStory([...recordedRun('/run', 3), evaluation]) }));
    expect(card).toContain('stopped after 3 of 6 steps');
    expect(card).toContain('| gsm8k strict |  | 0.3700 ± 0.0133 (step 3) |');
    expect(card).toContain('± is one standard error');
  });
});

test('the story of a run with several sittings has each step once, as it was told last', () => {
  const sittings = resumedRun('/run').flat();
  const story = tellStory(sittings);
  expect(story.steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect([story.sittings, story.killedSittings, story.seconds]).toEqual([3, 1, 6]);
  // A step behind the checkpoint that was not done again is taken back.
  const [first, second] = resumedRun('/run');
  expect(tellStory([...first!, ...second!, second![0]!]).steps.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
});

test('the licence is that of the base’s card', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-card-'));
  expect(readBaseLicence(folder)).toEqual({ hasCard: false });
  const write = (text: string) => writeFileSync(path.join(folder, 'README.md'), text);
  for (const [text, license] of [
    ['---\nlicense: mit\n---\n# x', 'mit'],
    ['# no front matter', undefined],
    ['---\n: [\n---\n', undefined],
    ['---\nlicense: [a, b]\n---\n', undefined],
  ]) {
    write(text!);
    expect(readBaseLicence(folder)).toMatchObject({ hasCard: true, license });
  }
  write('---\r\nlicense: other\r\nlicense_name: llama2\r\nlicense_link: LICENSE.txt\r\n---\r\n');
  expect(readBaseLicence(folder)).toEqual({ hasCard: true, license: 'other', name: 'llama2', link: 'LICENSE.txt' });
  // Results of any length stand beside it, which nobody reads for a licence.
  write(
    `---\nmodel-index: [${'{"x": 1},'.repeat(100_000)}]\nlicense: other\nlicense_link: >-\n  LICENSE.txt\ntags: [\n---\n`,
  );
  expect(readBaseLicence(folder)).toEqual({ hasCard: true, license: 'other', link: 'LICENSE.txt' });
});

describe('what strangers say', () => {
  const script = '<script>alert(1)</script>';
  const hostile = `x\` ${script} [a](javascript:alert(1)) | b\u001b]0;pwned\u0007\u202e \``;
  /** No tag, no link of theirs, no end of a code span, nothing that a terminal obeys. */
  function checkHarmless(card: string): void {
    expect(card).not.toContain('<script');
    // The front matter is data: only its link becomes one.
    expect(card.replace(/^---\n[\s\S]*?\n---\n/, '')).not.toMatch(/\]\(\s*(javascript|data):/i);
    expect(card).not.toMatch(/^license_link: .*(javascript|script>)/m);
    expect(card).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    // Of the text that Markdown does not read as code, every mark of theirs is escaped.
    const text = card.replace(/```[^\n]*\n[\s\S]*?\n```/g, '').replace(/\\[!-\/:-@[-`{-~]/g, '');
    for (const line of text.split('\n')) expect((line.match(/`/g) ?? []).length % 2).toBe(0);
  }
  const licence = { hasCard: true, license: 'other', name: hostile, link: `javascript:alert(1)) ${script} (` };

  test('of a licence is shown and not obeyed', () => {
    const card = modelCard(factsOf({ licence }));
    checkHarmless(card);
    expect(frontOf(card)).toMatchObject({ license: 'other' });
    expect(frontOf(card)).not.toHaveProperty('license_name');
    expect(frontOf(card)).not.toHaveProperty('license_link');
    expect(card).toContain('says x\\` &lt;script\\>');
    expect(card).toContain('(with a link that is neither a web address nor a file, and is left out)');
    checkHarmless(mergedCard({ base: `/models/${hostile}`, licence, physicalLayers: 2, layers: plan.layers }));
    const odd = modelCard(factsOf({ licence: { hasCard: true, license: hostile } }));
    checkHarmless(odd);
    expect(frontOf(odd)).not.toHaveProperty('license');
  });

  test('names, addresses and files that are what they should be are kept', () => {
    const link = 'https://example.com/licence?a=1';
    const card = modelCard(factsOf({ licence: { hasCard: true, license: 'other', name: 'llama3.1', link } }));
    expect(frontOf(card)).toMatchObject({ license: 'other', license_name: 'llama3.1', license_link: link });
    expect(card).toContain('says `llama3.1` (<https://example.com/licence?a=1>).');
    const file = modelCard(factsOf({ licence: { hasCard: true, license: 'other', name: 'x', link: 'LICENSE.txt' } }));
    expect(frontOf(file)).toMatchObject({ license_link: 'LICENSE.txt' });
    expect(file).toContain('says `x` (`LICENSE.txt`).');
  });

  test('of names of bases, data, formats, evaluators, scores, options and engines is escaped everywhere', () => {
    const name = hostile.replaceAll('/', '');
    const story = tellStory([
      ...recordedRun('/run').map((event): RunEvent => {
        if (event.type === 'data.read') return { ...event, file: `/data/${name}`, format: hostile };
        if (event.type !== 'evaluation.finished') return event;
        return { ...event, evaluator: hostile, scores: { [hostile]: 0.5, [`${hostile}_stderr`]: 0.1 } };
      }),
    ]);
    for (const base of [`/models/${name}`, `owner/${name}@main`, `owner/base](javascript:alert(1))@${name}`]) {
      const card = modelCard(
        factsOf({
          config: runConfigSchema.parse({ base, data: { train: `hf://datasets/${hostile}@${name}/${hostile}` } }),
          story,
          adapter: { kind: hostile, options: { target_modules: hostile, list: [hostile] } },
          engine: hostile,
          dataNames: new Map([[`/data/${name}`, `hf://datasets/o](javascript:x)/${name}@c/${hostile}`]]),
        }),
      );
      checkHarmless(card);
      expect(() => frontOf(card)).not.toThrow();
      // A row of a table keeps its columns.
      for (const row of card.split('\n').filter((line) => line.startsWith('| training')))
        expect(row.replace(/\\./g, '').match(/\|/g)).toHaveLength(8);
    }
  });
});

test('an edited card is not written over', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-card-'));
  const file = path.join(folder, 'README.md');
  expect(await writeCard(folder, factsOf({ step: 3 }))).toBe(true);
  expect(await writeCard(folder, factsOf())).toBe(true);
  expect(readFileSync(file, 'utf8')).not.toContain('stopped after');
  const edited = readFileSync(file, 'utf8').replace('## Data', '## My data');
  writeFileSync(file, edited);
  expect(await writeCard(folder, factsOf())).toBe(false);
  expect(readFileSync(file, 'utf8')).toBe(edited);
  expect(readFileSync(path.join(folder, 'loss.svg'), 'utf8')).toMatch(/^<svg/);
});

describe('the chart', () => {
  const points = (count: number) => Array.from({ length: count }, (_, i) => ({ step: i + 1, loss: 2 + Math.sin(i) }));
  const valuesOf = (chart: Chart): LossPoint[][] =>
    (chart as unknown as { layer: { data: { values: LossPoint[] } }[] }).layer.map(({ data }) => data.values);

  test('has no more points than can be seen, the means of neighbours', () => {
    const [training, heldOut] = valuesOf(lossChart(points(100_000), [{ step: 0, loss: 3.5 }]));
    expect(training!.length).toBeLessThanOrEqual(560);
    const first = points(179); // 100,000 / 560
    const mean = (of: (point: LossPoint) => number) => first.reduce((sum, point) => sum + of(point), 0) / first.length;
    expect(training![0]).toMatchObject({
      step: 90,
      loss: expect.closeTo(
        mean(({ loss }) => loss),
        12,
      ) as number,
    });
    expect(heldOut).toEqual([{ data: 'held out', step: 0, loss: 3.5 }]);
  });

  test('shows training as a line and held-out losses as dots, with names and axes', async () => {
    const svg = await drawChart(
      lossChart(points(30), [
        { step: 0, loss: 3.5 },
        { step: 30, loss: 2.5 },
      ]),
    );
    for (const text of ['step', 'loss', 'training', 'held out']) expect(svg).toContain(`>${text}</text>`);
    expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(1);
    expect(svg.match(/aria-roledescription="point"/g)).toHaveLength(2);
  });

  test('of one step is drawn too, and names no held-out losses where there are none', async () => {
    const svg = await drawChart(lossChart([{ step: 1, loss: 2 }], []));
    expect(svg).toContain('>training</text>');
    // An axis of one value would have labels such as 2.000000.
    expect(svg).not.toMatch(/NaN|Infinity|held out|>\d+\.000/);
  });
});
