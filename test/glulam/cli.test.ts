import { spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { runShared } from '../support/cli.js';
import { smallHeldOut } from '../support/tiny.js';

// The built command line, as users run it.
const root = path.resolve(import.meta.dirname, '../..');
const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const quickstart = path.join(root, 'examples/quickstart/glulam.config.ts');
const problems = path.join(root, 'examples/data/word-problems.train.jsonl');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-cli-'));
/** Most of what it takes to train for three steps would be the scoring of all held-out rows. */
const fewHeldOut = ['--data.heldOut', smallHeldOut()];

const glulam = (...args: string[]) => glulamWith({}, ...args);

/** With a text on stdin, as from a pipe. */
const glulamReading = (input: string, ...args: string[]) => glulamWith({ input }, ...args);

/** Continuous integration sets CI, which the console reporter heeds: the tests say whether it is set. */
const glulamWith = ({ input = '', ...env }: Record<string, string>, ...args: string[]) =>
  runShared(args, { cwd: work, env: { ...process.env, CI: '', ...env }, input });

/** A copy of the tiny base, changed. */
function base(name: string, change: (folder: string) => void): string {
  const folder = path.join(work, name);
  cpSync(tiny, folder, { recursive: true });
  change(folder);
  return folder;
}
/** What is said of a run that ended with step 3, which was its best. */
const usesRun = /^\S+ uses step 3 \(loss \d\.\d{4}\), the best and the last\n$/;
const editConfig = (folder: string, fields: Record<string, unknown>) => {
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...fields }));
};

describe('train, eval, generate', () => {
  const run = path.join(work, 'run');
  beforeAll(async () => {
    const result = await glulam(
      'train',
      quickstart,
      '--train.steps',
      '3',
      '--train.batch',
      '2',
      ...fewHeldOut,
      '--out',
      run,
    );
    expect(result).toMatchObject({ code: 0, err: '' });
    expect(result.out).toMatch(/8 physical layers as 12 virtual layers, 325,632 trainable parameters/);
    expect(result.out).toMatch(
      /\nbefore training: loss \d[\s\S]*step 3\/3[\s\S]*\nafter step 3: loss \d[\s\S]*adapter saved in /,
    );
  });

  test('continuous integration gets no step lines, and the rest', async () => {
    const args = [
      'train',
      quickstart,
      '--train.steps',
      '2',
      '--train.batch',
      '2',
      ...fewHeldOut,
      '--out',
      path.join(work, 'ci'),
    ];
    const { code, out, err } = await glulamWith({ CI: 'true' }, ...args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).not.toMatch(/step \d+\/\d+/);
    expect(out).toMatch(
      /virtual layers[\s\S]*\nbefore training: loss \d[\s\S]*\nafter step 2: loss \d[\s\S]*adapter saved in /,
    );
  });

  test('a folder with weights and an adapter stands for both, whatever base the adapter names', async () => {
    const both = path.join(work, 'both');
    for (const from of [tiny, path.join(run, 'adapter')]) cpSync(from, both, { recursive: true });
    for (const [name, field] of [
      ['glulam.json', 'base'],
      ['adapter_config.json', 'base_model_name_or_path'],
    ] as const) {
      const file = path.join(both, name);
      if (!existsSync(file)) continue;
      const fields = JSON.parse(readFileSync(file, 'utf8')) as object;
      writeFileSync(file, JSON.stringify({ ...fields, [field]: 'nowhere/else' }));
    }
    const args = ['--prompt', 'Question: What is 2 + 2?\\nAnswer:', '--max-tokens', '8'];
    const beside = await glulam('generate', both, ...args);
    expect(beside).toMatchObject({ code: 0, out: (await glulam('generate', run, ...args)).out });
    expect(beside.err).toMatch(/both holds an adapter beside the weights/);
  });

  test('eval scores the run as training did, and generate goes on from a prompt', async () => {
    const events = readFileSync(path.join(run, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { scores?: { loss: number } });
    const scored = await glulam('eval', run);
    expect(scored.code).toBe(0);
    expect(JSON.parse(scored.out)).toMatchObject({
      evaluator: 'loss',
      loss: events.findLast(({ scores }) => scores !== undefined)!.scores!.loss,
    });
    const args = ['generate', run, '--prompt', 'Question: What is 2 + 2?\\nAnswer:', '--max-tokens', '8'];
    const [first, second] = [await glulam(...args), await glulam(...args)];
    expect(first).toMatchObject({ code: 0, err: expect.stringMatching(usesRun) as string });
    expect(first.out.trim().length).toBeGreaterThan(0);
    expect(second.out).toBe(first.out);
    const drawn = await glulam(
      ...args,
      '--temperature',
      '2',
      '--seed',
      '3',
      '--top-k',
      '50',
      '--top-p',
      '0.9',
      '--chat',
    );
    expect(drawn).toMatchObject({ code: 0, err: expect.stringMatching(usesRun) as string });
    expect(await glulam('generate', '--chat', ...args.slice(1))).toMatchObject({ code: 0, err: first.err });
  });

  test('a checkpoint stands for itself with the config of its run, and an adapter folder for itself', async () => {
    const checkpoint = path.join(run, 'checkpoints/step-00000003');
    expect((await glulam('eval', checkpoint)).out).toBe((await glulam('eval', run)).out);
    const moved = path.join(work, 'moved-adapter');
    cpSync(path.join(run, 'adapter'), moved, { recursive: true });
    const { code, out } = await glulam('plan', moved);
    expect([code, out.includes('8 physical layers as 12 virtual layers'), out.includes('325,632')]).toEqual([
      0,
      true,
      true,
    ]);
    const prompt = ['--prompt', 'Question: 1 + 1?', '--max-tokens', '4'];
    const texts = [await glulam('generate', moved, ...prompt), await glulam('generate', run, ...prompt)];
    expect(texts[0]).toMatchObject({ code: 0, out: texts[1]!.out, err: '' });
  });

  test('a run is asked as it was trained, and by its steps', async () => {
    const ends = ['--max-tokens', '6'];
    const written = await glulam('generate', run, '--prompt', 'Question: What is 2 + 2?\\nAnswer:', ...ends);
    const asked = await glulam('generate', run, '--question', 'What is 2 + 2?', ...ends);
    expect(asked).toEqual(written);
    const bare = await glulam('generate', run, '--prompt', 'What is 2 + 2?', ...ends);
    expect(bare.code).toBe(0);
    expect(bare.err).toBe(
      `${written.err}hint: the run was trained on prompts such as "Question: {question}\\nAnswer:", and --prompt is continued as it is; --question TEXT writes it so\n`,
    );
    for (const step of ['@best', '@last', '@step-3', '/checkpoints/step-00000003'])
      expect(await glulam('generate', run + step, '--question', 'What is 2 + 2?', ...ends), step).toMatchObject({
        code: 0,
        out: asked.out,
      });
    expect((await glulam('eval', quickstart, ...fewHeldOut, '--adapter', `${run}@last`)).out).toBe(
      (await glulam('eval', run)).out,
    );
    expect(await glulam('plan', `${run}@best`)).toMatchObject({
      code: 0,
      out: expect.stringContaining('325,632') as string,
    });
    const merged = path.join(work, 'merged-best');
    expect(await glulam('merge', `${run}@best`, '--out', merged)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/@best uses step 3 .*, the best and the last\nmodel/) as string,
    });
    expect(readFileSync(path.join(merged, 'README.md'), 'utf8')).toMatch(
      /## How to prompt it[\s\S]*prompt = "Question: How many legs[^"]*\\nAnswer:"/,
    );

    // A folder is just that, whatever its name; what is no run has no steps.
    const named = path.join(work, 'odd@best');
    cpSync(run, named, { recursive: true });
    for (const name of [named, `${named}@last`])
      expect(await glulam('generate', name, '--question', 'What is 2 + 2?', ...ends)).toMatchObject({
        code: 0,
        out: asked.out,
      });

    const chat = await glulamReading('What is 2 + 2?\nWhat is 2 + 2?\n', 'chat', run, ...ends);
    expect(chat).toMatchObject({ code: 0, out: asked.out + asked.out });
    expect(chat.err).toContain(
      'each line is a question of its own, written as in training: "Question: {question}\\nAnswer:"',
    );
    expect((await glulamReading('Hi\n', 'chat', run, '--chat-template', ...ends)).err).not.toContain('each line');

    const form = ['--data.prompt', '"Question: {question}\\nAnswer:"'];
    const moved = await glulam('generate', path.join(run, 'adapter'), '--question', 'What is 2 + 2?', ...form, ...ends);
    expect(moved).toMatchObject({ code: 0, out: asked.out });
    for (const [args, message] of [
      [
        ['generate', `${run}@step-50`, '--prompt', 'x'],
        /\[STEP_NOT_FOUND\]: \S+@step-50: the run keeps no checkpoint of step 50; it has step-3 \(the best and the last\)/,
      ],
      [['eval', `${run}@first`], /names the run \S+ and "@first"; expected \S+@best, \S+@last or \S+@step-N/],
      [['push', `${run}@step-2`, '--to', 'a/b'], /\[STEP_NOT_FOUND\]/],
      [
        ['generate', `${path.join(run, 'adapter')}@best`, '--prompt', 'x'],
        /adapter is no run folder .*, so it has no @best/,
      ],
      [
        ['train', `${run}@best`, '--resume'],
        /a run resumes from its last checkpoint, not from another step; name the run: glulam train \S+ --resume/,
      ],
      [
        ['generate', path.join(run, 'adapter'), '--question', 'x'],
        /nothing says how the model was asked questions in training: .*--data.prompt/,
      ],
      [
        ['generate', run, '--question', 'x', '--context', 'y'],
        /no option --context, and the prompt .* has no column "context"/,
      ],
      [['generate', run, '--question', 'x', '--prompt', 'y'], /--prompt and --chat exclude it/],
      [
        ['generate', run, '--question', 'x', '--data.prompt', '{topic}: {question}'],
        /the prompt shows \{topic\} too; give --topic TEXT/,
      ],
      [['chat', run, '--system', 'Be brief.'], /cannot be written as in training: the prompt has no \{system\}/],
    ] as const) {
      const { code, err } = await glulam(...args);
      expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    }
  });

  test('chat answers lines from a pipe; adapters are chosen, summed and left out', async () => {
    const other = path.join(work, 'other');
    const made = await glulam(
      'train',
      quickstart,
      '--train.steps',
      '2',
      '--seed',
      '5',
      '--evaluate.evaluators',
      '[]',
      '--out',
      other,
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    const talk = `What is 2 + 2?\n/adapter\nAnd 3 + 4?\n/adapter ${other}=0.5 ${run}=2\n/reset\nWhat is 2 + 2?\n`;
    const { code, out, err } = await glulamReading(`${talk}/exit\nnever asked\n`, 'chat', run, '--max-tokens', '6');
    expect(code).toBe(0);
    expect(out.trim().split('\n').length).toBeGreaterThanOrEqual(3);
    expect(err).toContain(`* ${run}\n  none\n  base\n`);
    expect(err).toContain(`* ${run}=2\n* ${other}=0.5\n  none\n  base\na new conversation\n`);

    const base = await glulamReading('Hello\n', 'chat', tiny, '--system', 'Be brief.', '--max-tokens', '4');
    expect(base.code).toBe(0);
    expect(base.out.trim().length).toBeGreaterThan(0);

    const score = async (...args: string[]) => {
      const scored = await glulam('eval', ...args);
      expect(scored).toMatchObject({ code: 0, err: expect.stringMatching(/^(\S+ uses step .*\n)*$/) as string });
      return (JSON.parse(scored.out) as { loss: number }).loss;
    };
    const [own, itself, none, sum, unexpanded] = [
      await score(run),
      await score(quickstart, ...fewHeldOut, '--adapter', run),
      await score(run, '--no-adapter'),
      await score(run, '--adapter', `${run}=0.5`, '--adapter', `${other}=0.5`),
      await score(run, '--unexpanded'),
    ];
    expect(itself).toBe(own);
    expect(new Set([own, none, sum, unexpanded]).size).toBe(4);
    expect(none).toBe(await score(quickstart, ...fewHeldOut));
    expect(await score(tiny, ...fewHeldOut)).toBe(unexpanded);
    const prompt = ['--prompt', 'Question: 1 + 1?', '--max-tokens', '4'];
    const texts = [await glulam('generate', tiny, ...prompt), await glulam('generate', run, '--unexpanded', ...prompt)];
    expect(texts[0]).toMatchObject({ code: 0, err: '' });
    expect(texts[0]).toEqual(texts[1]);
  });

  test('adapters that do not fit, and choices that exclude one another, are refused', async () => {
    const plain = path.join(work, 'plain-run');
    const made = await glulam(
      'train',
      quickstart,
      '--train.steps',
      '1',
      '--expansion.layer_map',
      '[[0,8]]',
      '--evaluate.evaluators',
      '[]',
      '--out',
      plain,
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    const prompt = ['--prompt', 'x', '--max-tokens', '1'];
    for (const [args, message] of [
      [
        ['generate', run, '--adapter', plain, ...prompt],
        /plain-run" of .*tiny-mistral-gsm8k was trained on the layers \[\[0,8\]\]; this model has \[\[0,4\],\[2,6\],\[4,8\]\]/,
      ],
      [['generate', run, '--adapter', work, ...prompt], /is neither an adapter folder nor a run that has one/],
      [['generate', run, '--adapter', run, '--unexpanded', ...prompt], /exclude one another/],
      [['generate', run, '--no-adapter', '--unexpanded', ...prompt], /exclude one another/],
      [['generate', run, '--adapter'], /--adapter is without a value/],
      [['chat', run, '--temprature', '1'], /glulam chat has no option --temprature/],
    ] as const) {
      const { code, err } = await glulam(...args);
      expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    }
    const bare = base('no-template', (at) => {
      const file = path.join(at, 'tokenizer_config.json');
      const { chat_template: _, ...config } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      writeFileSync(file, JSON.stringify(config));
      rmSync(path.join(at, 'chat_template.jinja'), { force: true });
    });
    const refused = await glulamReading('Hi\n', 'chat', bare);
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(/has no chat template; .*--data.chatTemplate plain/),
    ]);
    expect(
      await glulamReading('Hi\n', 'chat', bare, '--data.chatTemplate', 'plain', '--max-tokens', '2'),
    ).toMatchObject({ code: 0 });
  });

  test('a run that has not ended says how to go on; its plan is its config’s', async () => {
    const unfinished = path.join(work, 'unfinished');
    cpSync(run, unfinished, { recursive: true });
    rmSync(path.join(unfinished, 'adapter'), { recursive: true });
    const { code, err } = await glulam('generate', unfinished, '--prompt', 'x');
    expect(code).toBe(1);
    expect(err).toMatch(
      /has not ended, so it has no adapter yet; go on with it: .*--resume, or name one of its checkpoints/,
    );
    expect(await glulam('plan', unfinished)).toMatchObject({ code: 0, err: '' });
  });

  test('JSON and YAML configs say the same as TypeScript ones', async () => {
    const fields = { base: tiny, data: { train: 'rows.jsonl', heldOut: 'rows.jsonl' } };
    writeFileSync(path.join(work, 'rows.jsonl'), '{"question":"1 + 1?","answer":"2"}\n');
    writeFileSync(path.join(work, 'c.json'), JSON.stringify(fields));
    writeFileSync(path.join(work, 'c.yaml'), `base: ${tiny}\ndata:\n  train: rows.jsonl\n  heldOut: rows.jsonl\n`);
    writeFileSync(path.join(work, 'c.mjs'), `export default ${JSON.stringify(fields)};\n`);
    const outputs = await Promise.all(['c.json', 'c.yaml', 'c.mjs'].map((file) => glulam('eval', file)));
    for (const { code, out } of outputs) expect([code, out]).toEqual([0, outputs[0]!.out]);
  });

  test('plan draws the layers and adds up the memory, of a config and of a run', async () => {
    const [config, again] = [await glulam('plan', quickstart, '--adapter.r', '4'), await glulam('plan', run)];
    for (const { code, err, out } of [config, again]) {
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/8 physical layers as 12 virtual layers\n[\s\S]*4\.\.7 {2}··████··/);
      expect(out).toMatch(/the largest batch of the run's data[\s\S]*\n {2}peak +\d+ MB {2}at once/);
    }
    expect(config.out).toContain('162,816');
    expect(again.out).toContain('325,632');
  });

  test('help, with exit code 0', async () => {
    for (const args of [
      [],
      ['--help'],
      ['train', '--help'],
      ['eval', '-h'],
      ['ablate', '--help'],
      ['search', '--help'],
      ['generate', '--help'],
      ['data', '--help'],
    ]) {
      const { code, out } = await glulam(...args);
      expect([code, out.includes('glulam')]).toEqual([0, true]);
    }
  });
});

describe('reporters', () => {
  const args = (name: string, reporters: object[]) => [
    ...['train', quickstart, '--train.steps', '2', '--train.batch', '2', ...fewHeldOut],
    ...['--out', path.join(work, name)],
    ...['--reporters', JSON.stringify(reporters)],
  ];

  test('jsonl alone: what is on stdout is the events, and nothing else', async () => {
    const { code, out, err } = await glulam(...args('jsonl', [{ kind: 'jsonl' }, { kind: 'jsonl', file: 'copy' }]));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(readFileSync(path.join(work, 'jsonl/events.jsonl'), 'utf8'));
    expect(out).toBe(readFileSync(path.join(work, 'jsonl/copy'), 'utf8'));
  });

  test.each(['jsonl', 'console'])('%s: a reader that goes away does not end the run', async (kind) => {
    const name = `unread-${kind}`;
    const cli = path.join(root, 'packages/glulam/bin/glulam.js');
    const env = { ...process.env, CI: '' };
    const child = spawn(process.execPath, [cli, ...args(name, [{ kind }])], { cwd: work, env });
    child.stdout.once('data', () => child.stdout.destroy());
    let errors = '';
    child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    const code = await new Promise((done) => child.on('close', done));
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(readFileSync(path.join(work, name, 'events.jsonl'), 'utf8')).toMatch(/"run.finished"/);
  });

  test('one that cannot write says so and is left out, and the run goes on', async () => {
    const folder = path.join(tiny, 'config.json');
    const { code, out, err } = await glulam(
      ...args('unwritable', [{ kind: 'tensorboard', folder }, { kind: 'jsonl' }]),
    );
    expect(err).toMatch(/\[@glulam\/reporter-tensorboard\] failed .+ cut off: .+config\.json\/.+ cannot be written/);
    expect(code).toBe(0);
    expect(out).toMatch(/"run.finished"/);
  });

  test('options that cannot be used are refused', async () => {
    for (const [reporter, message] of [
      [{ kind: 'jsonl', file: 'events.jsonl' }, /reporters\.0\.file: the run itself writes events.jsonl/],
      [{ kind: 'tensorboard', dir: 'x' }, /reporters\.0\.dir is not an option; known: folder/],
      [{ kind: 'tensorbord' }, /did you mean "tensorboard"\?/],
    ] as const) {
      const { code, err } = await glulam(...args('refused-reporter', [reporter]));
      expect(code).toBe(1);
      expect(err).toMatch(message);
    }
    expect(existsSync(path.join(work, 'refused-reporter'))).toBe(false);
  });
});

test('paths on the command line are relative to the working folder', async () => {
  base('here', () => undefined);
  const given = ['--base', './here', '--data.train', 'rows.jsonl', '--data.cache', 'cache'];
  writeFileSync(path.join(work, 'rows.jsonl'), '{"question":"a","answer":"b"}\n');
  expect(await glulam('data', quickstart, ...given)).toMatchObject({ code: 0 });
  expect(existsSync(path.join(work, 'cache'))).toBe(true);
  const { code, err } = await glulam('plan', quickstart, '--base', 'nowhere');
  expect([code, err]).toEqual([1, expect.stringContaining(path.join(work, 'nowhere'))]);
});

test('tokens beyond the embedding are reported, and refused in a prompt', async () => {
  const padded = base('padded', (at) => {
    const file = path.join(at, 'tokenizer.json');
    const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as { added_tokens: object[] };
    const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    tokenizer.added_tokens.push({ id: 1536, content: '<pad2>', ...special });
    writeFileSync(file, JSON.stringify(tokenizer));
  });
  const line =
    /^\S*padded: the tokenizer has a token beyond the model's embedding, .*"<pad2>" \(id 1536\); a text that has one is refused\n$/;
  const generate = (prompt: string) => glulam('generate', padded, '--prompt', prompt, '--max-tokens', '2');
  for (const { code, err } of [await generate('Question:'), await glulam('plan', quickstart, '--base', padded)]) {
    expect(code).toBe(0);
    expect(err).toMatch(line);
  }
  const refused = await generate('Question <pad2>');
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/TOKENIZER_MISMATCH\]: .*the token "<pad2>" \(id 1536\) is beyond the model's embedding/);
});

test('data is shown without weights or an engine', async () => {
  // An engine that would not open here.
  const otherIsa = process.arch === 'arm64' ? 'avx2' : 'neon';
  const light = base('light', (at) => rmSync(path.join(at, 'model.safetensors')));
  const { code, out, err } = await glulam(
    'data',
    quickstart,
    '--base',
    light,
    '--engine.isa',
    otherIsa,
    '--samples',
    '1',
  );
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(
    /word-problems.train.jsonl: training, read as question_answer\n {2}800 rows\n {2}800 examples of 80,343 tokens/,
  );
  expect(out).toMatch(
    /word-problems.heldout.jsonl: held out[\s\S]*a pass over the data is 800 examples, 100 steps; this run takes 150/,
  );
  expect(out).toMatch(/\n {2}│ <s>Question: [^]*⟦ [^⟦]*<\/s>⟧\n$/);
  expect(out).not.toContain('\u001b');
});

describe('plugins and schema', () => {
  /** A project with a config in JSON that names a package, which is installed beside it. */
  function project(name: string, plugin: string): string {
    const folder = path.join(work, name);
    const installed = path.join(folder, 'node_modules/glulam-plugin-reporter-bell');
    mkdirSync(installed, { recursive: true });
    const manifest = { name: 'glulam-plugin-reporter-bell', version: '1.4.0', type: 'module', main: 'index.js' };
    writeFileSync(path.join(installed, 'package.json'), JSON.stringify(manifest));
    writeFileSync(path.join(installed, 'index.js'), plugin);
    const config = path.join(folder, 'glulam.json');
    writeFileSync(
      config,
      JSON.stringify({ $schema: './glulam.schema.json', plugins: ['glulam-plugin-reporter-bell'] }),
    );
    return config;
  }
  // Found from where they are, as if they were installed beside the plugin.
  const zod = JSON.stringify(import.meta.resolve('zod'));
  const trainer = JSON.stringify(pathToFileURL(path.join(root, 'packages/trainer/dist/index.js')).href);
  const bell = `
    import { reporters } from ${trainer};
    import { z } from ${zod};
    const schema = z.strictObject({ every: z.int().positive().default(5).describe('Steps between two rings.') });
    const reporter = { kind: 'bell', schema, open: () => () => {} };
    export default () => ({
      name: 'glulam-plugin-reporter-bell',
      contract: CONTRACT,
      register: (registry) => registry.contribute(reporters, { create: () => reporter }),
    });`;

  test('what is built in, and what a config brings, with options', async () => {
    const builtIn = await glulam('plugins');
    expect(builtIn).toMatchObject({ code: 0, err: '' });
    expect(builtIn.out).toMatch(
      /\n@glulam\/engine-native \d+\.\d+\.\d+ \(built in\)\n  engine native: threads, isa = "auto"\n/,
    );
    const lora = await glulam('plugins', 'lora');
    expect(lora.out).toMatch(
      /^adapter lora, of @glulam\/adapter-lora [\s\S]*\n  bias = "none"\n      "none" or "all" or "lora_only"\n/,
    );
    expect(lora.out).not.toContain('dora');
    const config = project('with-bell', bell.replace('CONTRACT', '2'));
    const kind = await glulam('plugins', 'bell', '--config', config);
    expect(kind.out).toMatch(
      /^reporter bell, of glulam-plugin-reporter-bell 1\.4\.0 \(.*node_modules\/glulam-plugin-reporter-bell\)\n  every = 5\n      integer > 0\n      Steps between two rings\.\n$/,
    );
    const json = JSON.parse((await glulam('plugins', '--json', '--config', config)).out) as {
      name: string;
      kinds: object[];
    }[];
    expect(json.at(-1)).toMatchObject({
      name: 'glulam-plugin-reporter-bell',
      version: '1.4.0',
      kinds: [{ role: 'reporter', kind: 'bell' }],
    });
  });

  test('a run keeps the names of its plugins, so that its folder stands for itself', async () => {
    const config = project('kept', bell.replace('CONTRACT', '2'));
    const run = path.join(path.dirname(config), 'runs/one');
    const train = { steps: 1, batch: 1 };
    const fields = {
      plugins: ['glulam-plugin-reporter-bell'],
      base: tiny,
      data: { train: problems },
      train,
      reporters: [{ kind: 'bell' }],
    };
    writeFileSync(config, JSON.stringify(fields));
    expect(await glulam('train', config, '--out', run)).toMatchObject({ code: 0, out: '', err: '' });
    expect(JSON.parse(readFileSync(path.join(run, 'config.json'), 'utf8'))).toMatchObject({ plugins: fields.plugins });
    expect((await glulam('plugins', 'bell', '--config', path.join(run, 'config.json'))).out).toContain('every = 5');
    expect(await glulam('train', run, '--resume', '--reporters', '[{"kind":"bell","evry":2}]')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/reporters\.evry is not an option; did you mean reporters\.every\?/) as string,
    });
  });

  test('a plugin for another contract is told with both, and the others are shown', async () => {
    const { code, out, err } = await glulam('plugins', '--config', project('later', bell.replace('CONTRACT', '3')));
    expect(code).toBe(1);
    expect(err).toMatch(
      /PLUGIN_UNUSABLE[\s\S]*\[glulam-plugin-reporter-bell\] was written for contract 3, .*has contract 2/,
    );
    expect(out).toContain('engine native');
    expect(out).not.toContain('bell');
  });

  test('a factory that throws is told with its package', async () => {
    const config = project('thrower', 'export default () => { throw new Error("no luck"); };');
    const { code, err } = await glulam('plugins', '--config', config);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(
        /PLUGIN_UNLOADABLE.*glulam-plugin-reporter-bell cannot be loaded: its factory failed: Error: no luck/,
      ),
    ]);
  });

  test('the schema knows the kinds of a config, and a config that names it is read', async () => {
    const config = project('schema', bell.replace('CONTRACT', '2'));
    const file = path.join(path.dirname(config), 'glulam.schema.json');
    expect(await glulam('schema', '--config', config, '--out', file)).toMatchObject({ code: 0, out: '', err: '' });
    const { definitions } = JSON.parse(readFileSync(file, 'utf8')) as {
      definitions: Record<string, { anyOf: object[] }>;
    };
    const bellKind = { properties: { kind: { const: 'bell' }, every: { type: 'integer', default: 5 } } };
    expect(definitions['reporter']!.anyOf.at(-1)).toMatchObject(bellKind);
    expect(JSON.parse((await glulam('schema')).out)).toMatchObject({ title: 'Glulam config' });
    writeFileSync(
      config,
      JSON.stringify({ ...(JSON.parse(readFileSync(config, 'utf8')) as object), base: tiny, data: { train: 'none' } }),
    );
    expect(await glulam('plan', config)).toMatchObject({ code: 0, err: '' });
  });
});

describe('what is wrong is said, with exit code 1, and nothing is left behind', () => {
  const cases: [string, () => string[], RegExp][] = [
    ['a kind that there is not', () => ['plugins', 'dara'], /no plugin brings "dara"; did you mean "dora"\?/],
    ['too much to plugins', () => ['plugins', 'lora', 'dora'], /takes one NAME, --config and --json, got dora as well/],
    ['an unknown option of schema', () => ['schema', '--output', 'x'], /takes --config and --out, got --output/],
    ['plugins of a config without a name', () => ['plugins', '--config'], /--config is without a value/],
    ['an unknown command', () => ['trian'], /no command "trian"; did you mean glulam train\?/],
    ['no config', () => ['train', 'nope.ts'], /no config file nope.ts/],
    [
      'an unknown key',
      () => ['train', quickstart, '--train.stepps', '3'],
      /--train\.stepps is not an option; did you mean --train\.steps\?/,
    ],
    [
      'two faults at once',
      () => ['train', quickstart, '--train.steps', '0', '--precision', 'int4'],
      /precision[\s\S]*train.steps|train.steps[\s\S]*precision/,
    ],
    [
      'an unknown kind',
      () => ['train', quickstart, '--expansion.kind', 'layermap'],
      /did you mean "layer_map"\? Installed kinds: layer_map/,
    ],
    [
      'an interval out of range',
      () => ['train', quickstart, '--expansion.layer_map', '[[0,4],[4,99]]'],
      /interval 1 \[4, 99\) leaves the base, which has 8 layers/,
    ],
    ['an empty interval', () => ['train', quickstart, '--expansion.layer_map', '[[4,4]]'], /is empty/],
    ['an instruction set that does not exist', () => ['train', quickstart, '--engine.isa', 'sse9'], /engine.isa/],
    ['no checkpoint', () => ['train', quickstart, '--base', work], /is not a base checkpoint: it has no config.json/],
    [
      'a base that is a file',
      () => ['train', quickstart, '--base', quickstart],
      /is not a base checkpoint: it is not a folder, and no checkpoint reader reads it/,
    ],
    [
      'truncated weights',
      () => [
        'train',
        quickstart,
        '--base',
        base('cut', (at) => truncateSync(path.join(at, 'model.safetensors'), 5_000_000)),
      ],
      /it was cut short/,
    ],
    [
      'missing weights',
      () => ['train', quickstart, '--base', base('gone', (at) => rmSync(path.join(at, 'model.safetensors')))],
      /has no weights; expected a Hugging Face checkpoint with model.safetensors/,
    ],
    [
      'a pickle',
      () => [
        'train',
        quickstart,
        '--base',
        base(
          'pickle',
          (at) => (
            copyFileSync(path.join(at, 'model.safetensors'), path.join(at, 'pytorch_model.bin')),
            rmSync(path.join(at, 'model.safetensors'))
          ),
        ),
      ],
      /pickle file can run any code/,
    ],
    [
      'an unknown model type',
      () => ['train', quickstart, '--base', base('type', (at) => editConfig(at, { model_type: 'gemma' }))],
      /model_type "gemma"; installed families: gemma2, gemma3_text, granite, llama, ministral, mistral, olmo2, /,
    ],
    [
      'a base whose config.json is cut off',
      () => ['eval', base('cut-config', (at) => truncateSync(path.join(at, 'config.json'), 40))],
      /cut-config\/config\.json is not valid JSON \(.*\); download it again/,
    ],
    [
      'a base whose config.json is a list',
      () => [
        'generate',
        base('list-config', (at) => writeFileSync(path.join(at, 'config.json'), '[]')),
        '--prompt',
        'x',
      ],
      /list-config\/config\.json holds no JSON object; expected a Hugging Face model config/,
    ],
    [
      'a base without config.json',
      () => ['eval', base('no-config', (at) => rmSync(path.join(at, 'config.json')))],
      /no-config is not a base checkpoint: it has no config\.json/,
    ],
    [
      "a base's config.json as the config, cut off",
      () => [
        'plan',
        path.join(
          base('cut-config-file', (at) => truncateSync(path.join(at, 'config.json'), 40)),
          'config.json',
        ),
      ],
      /is the config\.json of a base checkpoint, .* and it is damaged/,
    ],
    [
      "a base's config.json as the config",
      () => ['train', path.join(tiny, 'config.json')],
      /is the config\.json of a base checkpoint \(model_type "mistral"\), not a config of Glulam's/,
    ],
    [
      'a quantized checkpoint',
      () => [
        'train',
        quickstart,
        '--base',
        base('quantized', (at) => editConfig(at, { quantization_config: { quant_method: 'awq' } })),
      ],
      /quant_method: "awq"/,
    ],
    [
      'shapes that do not fit',
      () => ['train', quickstart, '--base', base('shape', (at) => editConfig(at, { hidden_size: 128 }))],
      /has shape \[1536, 192\]; config.json makes it \[1536, 128\]/,
    ],
    [
      'a file with bad rows',
      () => (
        writeFileSync(path.join(work, 'bad.jsonl'), '{"question":1}\n'),
        ['train', quickstart, '--data.train', path.join(work, 'bad.jsonl')]
      ),
      /first row of .*bad.jsonl has the columns question \(a number\); no installed format[\s\S]*question_answer: \{ question, answer \}/,
    ],
    [
      'an evaluator without its data',
      () => (
        writeFileSync(
          path.join(work, 'l.json'),
          JSON.stringify({ base: tiny, data: { train: 'rows.jsonl' }, evaluate: { evaluators: [{ kind: 'loss' }] } }),
        ),
        ['train', 'l.json']
      ),
      /"loss" needs held-out data; name a file as data.heldOut/,
    ],
    [
      'nothing to evaluate',
      () => (
        writeFileSync(path.join(work, 'n.json'), JSON.stringify({ base: tiny, data: { train: 'rows.jsonl' } })),
        ['eval', 'n.json']
      ),
      /nothing to evaluate: name a file as data.heldOut/,
    ],
    ['samples that are no number', () => ['data', quickstart, '--samples', 'x'], /--samples is "x"; expected a number/],
    ['no prompt', () => ['generate', quickstart], /needs a text: --question "...", or --prompt/],
    ['an unknown option of generate', () => ['generate', quickstart, '--promt', 'x'], /no option --promt/],
    ['no run', () => ['eval', path.join(work, 'none')], /neither a run folder/],
    [
      'two variants of one name',
      () => ['ablate', quickstart, '--ablation.variants', '[{"name":"r=8"},{"name":"R 8"}]'],
      /ablation.variants.1.name is "R 8", which is taken: variant 0 is "r=8"/,
    ],
    [
      'a variant whose name names no folder',
      () => ['ablate', quickstart, '--ablation.variants', '[{"name":"+"}]'],
      /expected a letter or digit, to name its folder by/,
    ],
    [
      'an unknown key of a variant, and of the ablation',
      () => ['ablate', quickstart, '--ablation.sed', '[1]', '--ablation.variants', '[{"name":"a","adaptor":{}}]'],
      /ablation.variants.0.adaptor is not an option; did you mean --ablation.variants.0.adapter\?[\s\S]*ablation.sed is not an option; did you mean --ablation.seeds\?|ablation.sed[\s\S]*ablation.variants.0.adaptor/,
    ],
    [
      'a variant’s expansion that is none',
      () => ['ablate', quickstart, '--ablation.variants', '[{"name":"a","expansion":"no"}]'],
      /ablation.variants.0.expansion: expected 'none', or \{ kind/,
    ],
    [
      'a variant’s adapter of an unknown kind',
      () => ['ablate', quickstart, '--ablation.variants', '[{"name":"a","adapter":{"kind":"lore"}}]'],
      /"a": adapter.kind is "lore"; did you mean "lora"\?/,
    ],
    [
      'seeds that are there twice',
      () => ['ablate', quickstart, '--ablation.seeds', '[1,1]'],
      /ablation.seeds: a seed is there twice/,
    ],
    [
      'nothing that an ablation could compare',
      () => ['ablate', 'n.json'],
      /an ablation compares scores, and there is nothing to evaluate: name a file as data.heldOut/,
    ],
    [
      'a best that nothing tells',
      () => ['ablate', quickstart, '--evaluate.watch.evaluator', 'gsm8k'],
      /evaluate.watch is gsm8k.loss, by which an ablation tells what is best; evaluators of this config: loss/,
    ],
    [
      'a map beyond the base',
      () => ['search', quickstart, '--search.maps', '[[[0,9]]]'],
      /search.maps.0: \[0, 9\) leaves the base, which has 8 layers/,
    ],
    ['a map that is none', () => ['search', quickstart, '--search.maps', '[[[0,"x"]]]'], /search.maps.0.0.1/],
    [
      'a search without held-out data',
      () => ['search', 'n.json'],
      /search.score: "loss" scores maps by held-out data, and there is none/,
    ],
    [
      'a score that there is not',
      () => ['search', quickstart, '--search.score.kind', 'truthful'],
      /search.score.kind is "truthful"; did you mean "truthfulqa"/,
    ],
    [
      'a score without its file',
      () => ['search', quickstart, '--search.score.kind', 'truthfulqa'],
      /search.score.file/,
    ],
    [
      'no room for the probe',
      () => ['search', quickstart, '--search.memory', '0.01'],
      /search.memory is 0.01 MB; the hidden states of the probe behind one layer take/,
    ],
    [
      'no expansion and no variants',
      () => ['ablate', 'c.json'],
      /neither an expansion to compare with its base nor variants/,
    ],
    [
      'an evaluator that waits for something else',
      () => ['train', quickstart, '--evaluate.evaluators', '[{"kind":"loss","when":"later"}]'],
      /evaluate.evaluators.0.when/,
    ],
  ];
  test.each(cases)('%s', async (_, make, message) => {
    const out = path.join(work, 'refused');
    const args = make();
    const { code, err } = await glulam(
      ...args,
      ...(['train', 'ablate', 'search'].includes(args[0]!) ? ['--out', out] : []),
    );
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n {4}at /);
    expect(existsSync(out)).toBe(false);
  });
});
