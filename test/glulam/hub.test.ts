import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runShared } from '../support/cli.js';
import { root, tiny } from '../support/expanded.js';
import { startHub, type HubServer } from '../support/hub-server.js';

// The built command line, as users run it, against a Hub on this machine.
const cli = path.join(root, 'packages/glulam/bin/glulam.js');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-hub-cli-'));
const dataFolder = path.join(root, 'examples/data');
let hub: HubServer;
let commit: string;
let dataCommit: string;
/** All that any command printed. */
let printed = '';

const env = (more: Record<string, string> = {}): NodeJS.ProcessEnv => {
  const { HF_TOKEN: _, HF_HUB_CACHE: __, HF_HUB_OFFLINE: ___, ...rest } = process.env;
  return { ...rest, HF_HOME: path.join(work, 'home'), HF_ENDPOINT: hub.endpoint, CI: '', ...more };
};
const glulam = async (args: string[], more: Record<string, string> = {}) => {
  const result = await runShared(args, { cwd: work, env: env(more), input: 'Hello\n' });
  printed += result.out + result.err;
  return result;
};
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name));
const read = (...parts: string[]): string => readFileSync(path.join(work, ...parts), 'utf8');

beforeAll(async () => {
  hub = await startHub();
  const files = Object.fromEntries(readdirSync(tiny).map((name) => [name, readFileSync(path.join(tiny, name))]));
  const readme = '---\nlicense: mit\nlanguage:\n- en\n---\n# Tiny\n';
  commit = hub.put('models/me/tiny', { ...files, 'README.md': readme }, { isPrivate: true });
  const data = (name: string) => readFileSync(path.join(dataFolder, `word-problems.${name}.jsonl`));
  dataCommit = hub.put('datasets/me/words', { 'train.jsonl': data('train'), 'test/heldout.jsonl': data('heldout') });
  writeFileSync(
    path.join(work, 'c.json'),
    JSON.stringify({
      base: 'me/tiny',
      expansion: {
        kind: 'layer_map',
        layer_map: [
          [0, 6],
          [2, 8],
        ],
      },
      adapter: { kind: 'lora', r: 4 },
      data: {
        train: { file: 'hf://datasets/me/words/train.jsonl' },
        heldOut: 'hf://datasets/me/words@main/test/heldout.jsonl',
      },
      train: { steps: 4, batch: 2 },
      checkpoint: { every: 2 },
    }),
  );
});
beforeEach(() => {
  hub.faults.length = hub.requests.length = 0;
});
afterAll(async () => {
  expect(printed).not.toContain(hub.token);
  for (const file of filesBelow(work)) expect(readFileSync(file).includes(hub.token), file).toBe(false);
  await hub.close();
  rmSync(work, { recursive: true });
});

const withToken = () => ({ HF_TOKEN: hub.token });

describe('from the Hub', () => {
  test('without access the reason is said, and nothing is left behind', async () => {
    const { code, err } = await glulam(['train', 'c.json', '--out', 'refused']);
    expect(code).toBe(1);
    expect(err).toMatch(/^error \[NOT_FOUND\]: there is no model me\/tiny .* HF_TOKEN/);
    expect(existsSync(path.join(work, 'refused'))).toBe(false);
  });

  test('a plan downloads no weights', async () => {
    const { code, out, err } = await glulam(['plan', 'c.json'], withToken());
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`base me/tiny@${commit} (mistral)`);
    expect(out).toMatch(/its weights are not there[\s\S]*8 physical layers as 12 virtual layers[\s\S]*the run's data/);
    expect(hub.requests.some(({ host }) => host === 'files')).toBe(false);
  });

  test('killed in the middle of the download, a run begins all the same when it is given again', async () => {
    hub.faults.push({ match: /\/lfs\//, delay: 15 });
    const child = spawn(process.execPath, [cli, 'train', 'c.json', '--out', 'run'], {
      cwd: work,
      env: env(withToken()),
      stdio: 'ignore',
    });
    const closed = new Promise((done) => child.on('close', (_, signal) => done(signal)));
    const blobs = path.join(work, 'home/hub/models--me--tiny/blobs');
    const partOf = () => readdirSync(blobs).find((name) => name.endsWith('.incomplete'));
    const isUnderWay = () =>
      existsSync(blobs) && partOf() !== undefined && readFileSync(path.join(blobs, partOf()!)).length > 1e6;
    while (!isUnderWay() && child.exitCode === null) await new Promise((done) => setTimeout(done, 5));
    child.kill('SIGKILL');
    expect(await closed).toBe('SIGKILL');
    expect(existsSync(path.join(work, 'run'))).toBe(false);
    hub.faults.length = hub.requests.length = 0;

    const { code, out, err } = await glulam(['train', 'c.json', '--out', 'run'], withToken());
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(new RegExp(`me/tiny@${commit}: \\d+.\\d MB of \\d+.\\d MB here`));
    expect(hub.requests.find(({ host }) => host === 'files')!.range).toMatch(/^bytes=[1-9]\d{6}-$/);
    expect(
      hub.requests.filter(({ host }) => host === 'files').every(({ authorization }) => authorization === undefined),
    ).toBe(true);
  });

  test('the run says what repeats it: commits, in its config, its adapter and events', async () => {
    const config = JSON.parse(read('run/config.json')) as {
      base: string;
      data: { train: { file: string }; heldOut: string };
    };
    expect(config.base).toBe(`me/tiny@${commit}`);
    expect(config.data.train.file).toBe(`hf://datasets/me/words@${dataCommit}/train.jsonl`);
    expect(config.data.heldOut).toBe(`hf://datasets/me/words@${dataCommit}/test/heldout.jsonl`);
    const peft = JSON.parse(read('run/adapter/adapter_config.json')) as Record<string, unknown>;
    expect(peft).toMatchObject({ base_model_name_or_path: 'me/tiny', revision: commit });
    expect(read('run/events.jsonl')).toContain('"input.fetching"');
  });

  test('what is here asks nobody: the run is scored, generated from and merged without a network', async () => {
    const offline = { HF_HUB_OFFLINE: '1' };
    for (const args of [
      ['eval', 'run'],
      ['merge', 'run', '--out', 'merged'],
      ['generate', 'run/adapter', '--prompt', 'a', '--max-tokens', '3'],
      ['train', 'c.json', '--out', 'again'],
    ])
      expect(await glulam(args, offline), args.join(' ')).toMatchObject({
        code: 0,
        err: expect.not.stringContaining('error'),
      });
    expect(hub.requests).toEqual([]);
    // The same config, the same losses.
    const losses = (run: string) =>
      [...read(run, 'events.jsonl').matchAll(/"step":(\d),"steps":4,"loss":([\d.]+)/g)].map(([, , loss]) => loss);
    expect(losses('again')).toEqual(losses('run'));
    expect(losses('run')).toHaveLength(4);
  });

  test('a branch that moved is another config to a run that is resumed; the run itself goes on', async () => {
    await glulam(['train', 'c.json', '--out', 'moved', '--train.steps', '2'], withToken());
    const files = hub.read('datasets/me/words')!;
    hub.put('datasets/me/words', { ...Object.fromEntries(files), 'new.txt': 'x' });
    const { code, err } = await glulam(
      ['train', 'c.json', '--out', 'moved', '--train.steps', '2', '--resume'],
      withToken(),
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /RUN_CHANGED[\s\S]*data.train.file: was "hf:\/\/datasets\/me\/words@[0-9a-f]{40}\/train.jsonl", is/,
    );
    expect(await glulam(['train', 'moved', '--resume'], withToken())).toMatchObject({ code: 0, err: '' });
  });

  test('an adapter of the Hub, on its base of the Hub', async () => {
    const names = ['adapter_config.json', 'adapter_model.safetensors'];
    hub.put(
      'models/me/lora',
      Object.fromEntries(names.map((name) => [name, readFileSync(path.join(work, 'run/adapter', name))])),
    );
    const [there, here] = [
      await glulam(['generate', 'me/lora', '--prompt', 'Question:', '--max-tokens', '8'], withToken()),
      await glulam(['generate', 'run', '--prompt', 'Question:', '--max-tokens', '8'], withToken()),
    ];
    expect(there).toMatchObject({ code: 0, out: here.out });
    expect((await glulam(['generate', 'me/none', '--prompt', 'x'], withToken())).err).toMatch(/no model me\/none/);
    // What lies beside things of this machine is of this machine.
    hub.requests.length = 0;
    expect((await glulam(['generate', 'run/adaptor', '--prompt', 'x'], withToken())).err).toMatch(/RUN_NOT_FOUND/);
    expect(hub.requests).toEqual([]);
  });

  test('a base of the Hub, by itself', async () => {
    const asked = ['--prompt', 'Question:', '--max-tokens', '8'];
    const [there, here] = [
      await glulam(['generate', 'me/tiny', ...asked], withToken()),
      await glulam(['generate', tiny, ...asked]),
    ];
    expect(there).toMatchObject({ code: 0, out: here.out });
    expect((await glulam(['plan', `me/tiny@${commit}`], withToken())).out).toContain(
      `base me/tiny@${commit} (mistral)`,
    );
  });

  test('Ctrl-C while it downloads', async () => {
    rmSync(path.join(work, 'home/hub/models--me--tiny'), { recursive: true });
    hub.faults.push({ match: /\/lfs\//, delay: 50 });
    const child = spawn(process.execPath, [cli, 'train', 'c.json', '--out', 'stopped'], {
      cwd: work,
      env: env(withToken()),
    });
    const closed = new Promise((done) => child.on('close', (code) => done(code)));
    child.stderr.on('data', (text: Buffer) => (printed += text.toString()));
    while (!hub.requests.some(({ host }) => host === 'files')) await new Promise((done) => setTimeout(done, 5));
    child.kill('SIGINT');
    expect(await closed).toBe(130);
    expect(existsSync(path.join(work, 'stopped'))).toBe(false);
  });
});

describe('from a cache that Python filled', () => {
  // Links, a ref and no listing.
  const commitOf = 'a1b2c3d4e5f60718293a4b5c6d7e8f9001122334';
  const fill = (name: string, skip: readonly string[] = []): Record<string, string> => {
    const repository = path.join(work, name, 'hub/models--acme--tiny');
    const snapshot = path.join(repository, 'snapshots', commitOf);
    for (const folder of [snapshot, path.join(repository, 'blobs'), path.join(repository, 'refs')])
      mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(repository, 'refs/main'), commitOf);
    readdirSync(tiny).forEach((file, index) => {
      if (skip.includes(file)) return;
      // As huggingface_hub names them, by a hash.
      const blob = String(index).padStart(40, '0');
      copyFileSync(path.join(tiny, file), path.join(repository, 'blobs', blob));
      symlinkSync(`../../blobs/${blob}`, path.join(snapshot, file));
    });
    return { HF_HOME: path.join(work, name), HF_HUB_OFFLINE: '1' };
  };

  test('every command that takes a base takes its name', async () => {
    const env = fill('python');
    const heldOut = path.join(dataFolder, 'word-problems.heldout.jsonl');
    for (const args of [
      ['generate', 'acme/tiny', '--prompt', 'Question:', '--max-tokens', '3'],
      ['eval', 'acme/tiny', '--data.heldOut', heldOut, '--limit', '1'],
      ['merge', `acme/tiny@${commitOf}`, '--out', 'python-merged'],
      ['export', 'acme/tiny@a1b2c3d', '--gguf', 'python.gguf'],
      ['plan', 'acme/tiny'],
      ['chat', 'acme/tiny', '--data.chatTemplate', 'plain', '--max-tokens', '3'],
      ['plan', 'c.json', '--base', 'acme/tiny', '--data.train', heldOut, '--data.heldOut', heldOut],
    ])
      expect(await glulam(args, env), args.join(' ')).toMatchObject({
        code: 0,
        err: expect.not.stringMatching(/error|warning/),
      });
    expect(hub.requests).toEqual([]);
    expect(read('python-merged/README.md')).toContain('base_model: acme/tiny\n');
    // The Hub of this test has no acme/tiny: the reason is said, and the commit that is used.
    const online = await glulam(['generate', 'acme/tiny', '--prompt', 'a', '--max-tokens', '3'], {
      HF_HOME: env['HF_HOME']!,
    });
    expect([online.code, online.err]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(
          `^the Hub did not give main of acme/tiny, so commit ${commitOf} is used .*there is no model acme/tiny`,
        ),
      ),
    ]);
  });

  test('with the config alone there is a plan, and eval names what is missing', async () => {
    const env = fill(
      'config-only',
      readdirSync(tiny).filter((file) => file !== 'config.json'),
    );
    expect(await glulam(['plan', 'acme/tiny'], env)).toMatchObject({ code: 0, err: '' });
    const { code, err } = await glulam(['eval', 'acme/tiny'], env);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^error \[OFFLINE\]: tokenizer.json, model.safetensors of acme\/tiny /),
    ]);
  });
});

describe('a card and a push', () => {
  test('the run folder has a card of the run, its base and its data', () => {
    const card = read('run/README.md');
    expect(card).toMatch(
      /^---\nlicense: mit\nbase_model: me\/tiny\nbase_model_relation: adapter\ndatasets:\n {2}- me\/words\nlibrary_name: peft\n/,
    );
    expect(card).toContain(`AutoModelForCausalLM.from_pretrained("me/tiny", revision="${commit}")`);
    expect(card).toMatch(
      /\| training \| \[me\/words\]\(\S+\) \(`[0-9a-f]{40}`\), `train.jsonl` \| question\\_answer \| 800 \|/,
    );
    expect(card).toMatch(/memory besides, measured peak \| \d+ MB/);
    expect(card).not.toContain(work);
    expect(read('run/loss.svg')).toMatch(/^<svg/);
    // A run that went on has the card of all of it.
    expect(read('moved/README.md')).toMatch(/\| steps \| 2 \|/);
  });

  test('push puts the adapter and the card there, from where it can be used', async () => {
    const { code, out, err } = await glulam(['push', 'run', '--to', 'me/pushed', '--private'], withToken());
    expect([code, err]).toEqual([0, expect.stringMatching(/^run uses step 4 .*, the best and the last\n$/)]);
    expect(out).toMatch(/^5 files in the new repository me\/pushed, commit [0-9a-f]{40}\n/);
    expect([...hub.read('models/me/pushed')!.keys()].sort()).toEqual([
      '.gitattributes',
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'glulam.json',
      'loss.svg',
    ]);
    const [there, here] = [
      await glulam(['generate', 'me/pushed', '--prompt', 'Question:', '--max-tokens', '8'], withToken()),
      await glulam(['generate', 'run', '--prompt', 'Question:', '--max-tokens', '8'], withToken()),
    ];
    expect(there).toMatchObject({ code: 0, out: here.out });
  });

  test('a merged checkpoint is a base for others, with a card of its own', async () => {
    expect(read('merged/README.md')).toMatch(
      /^---\nlicense: mit\nbase_model: me\/tiny\nbase_model_relation: merge\n[\s\S]*Layer map `\[\[0,6\],\[2,8\]\]`/,
    );
    expect(read('merged/README.md')).not.toContain(work);
    expect(await glulam(['push', 'merged', '--to', 'me/merged', '--revision', 'v1'], withToken())).toMatchObject({
      code: 0,
      err: '',
    });
    expect((await glulam(['plan', 'c.json', '--base', 'me/merged@v1'], withToken())).out).toContain(
      '12 physical layers',
    );
  });

  test('what cannot be pushed is said', async () => {
    for (const [args, message] of [
      [['push', 'run'], /needs a repository: --to/],
      [['push', 'none', '--to', 'me/x'], /RUN_NOT_FOUND/],
      [['push', 'run', '--to', 'me/x', '--what', 'all'], /no option --what/],
      [['push', 'run', '--to', 'me/x'], /ACCESS_DENIED.*HF_TOKEN/],
    ] as const) {
      const { code, err } = await glulam([...args]);
      expect([code, message.test(err)], err).toEqual([1, true]);
    }
  });
});
