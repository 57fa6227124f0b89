import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runAlone, runShared } from '../support/cli.js';
import { smallHeldOut } from '../support/tiny.js';

// The built command line, as users run it, by a shell that gives it its pipes and limits.
const root = path.resolve(import.meta.dirname, '../..');
const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const quickstart = path.join(root, 'examples/quickstart/glulam.config.ts');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-terminal-'));
const onPosix = process.platform !== 'win32';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `$G` in the script is the command; its variables stand for other arguments. */
function shell(script: string, env: Record<string, string> = {}): Promise<Ended> & { readonly pid: number } {
  const child = spawn('bash', ['-c', script], {
    cwd: work,
    env: {
      ...process.env,
      CI: '',
      G: `${process.execPath} ${path.join(root, 'packages/glulam/bin/glulam.js')}`,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (text: Buffer) => (texts.out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (texts.err += text.toString()));
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, ...texts })));
  return Object.assign(ended, { pid: child.pid! });
}
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const options = { cwd: work, env: { ...process.env, CI: '' } };
const glulam = (...args: string[]) => runShared(args, options);
/** For plugins that change: their modules are loaded once in a process. */
const glulamAlone = (...args: string[]) => runAlone(args, options);
/** The command believes to write to a terminal. */
const atTerminal = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent("for(const s of[process.stdout,process.stderr])Object.defineProperty(s,'isTTY',{value:true})")}`,
};
const short = ['--train.steps', '2', '--train.batch', '2', '--evaluate.evaluators', '[]'];
const put = (name: string, text: string): string => {
  mkdirSync(path.dirname(path.join(work, name)), { recursive: true });
  writeFileSync(path.join(work, name), text);
  return path.join(work, name);
};
const noStack = (text: string) => expect(text).not.toMatch(/^ +at .*(file:|node:)/m);

describe('what strangers say is shown and not obeyed', () => {
  // A title, a colour, C1 alone, DEL, a bidi override and isolate, and a line that goes back to its beginning.
  const hostile = '\u001b]0;pwned\u0007\u001b[31m\u009b2J\u007f\u202etxt\u2066\rx';
  const shown = '\\x1b]0;pwned\\x07\\x1b[31m\\x9b2J\\x7f\\u202etxt\\u2066\\x0dx';
  const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
  /** Whatever is printed has it visibly, and nothing that a terminal would obey. */
  function checkShown({ out, err }: Ended, text = shown): void {
    expect(out + err).toContain(text);
    expect(out).not.toMatch(obeyed);
    expect(err).not.toMatch(obeyed);
  }
  const rows = (name: string, ...lines: string[]) => put(name, `${lines.join('\n')}\n`);
  const good = '{"question": "1 + 1?", "answer": "2"}';
  const config = (name: string, fields: object) => put(name, JSON.stringify({ base: tiny, ...fields }));
  const base = (name: string, change: (folder: string) => void): string => {
    const folder = path.join(work, name);
    cpSync(tiny, folder, { recursive: true });
    change(folder);
    return folder;
  };
  const editJson = (file: string, change: (value: Record<string, never>) => object) =>
    writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as Record<string, never>)));

  test('keys of rows, roles, and words that are not JSON', async () => {
    const files = {
      key: JSON.stringify({ [hostile]: 'v' }),
      role: JSON.stringify({
        messages: [
          { role: hostile, content: 'x' },
          { role: 'assistant', content: 'y' },
        ],
      }),
      json: `{"a": ${hostile.replace('\r', '')}}`,
    };
    for (const [name, line] of Object.entries(files)) {
      const file = config(`${name}.json`, { data: { train: rows(`${name}.jsonl`, line), chatTemplate: 'plain' } });
      const ended = await glulam('data', file);
      checkShown(ended, name === 'json' ? '\\x1b' : '\\x1b]0;pwned\\x07\\x1b[31m');
      noStack(ended.err);
    }
  });

  test('the words of a template, and of its exceptions', async () => {
    const template = put('raise.jinja', `{{ raise_exception(${JSON.stringify(hostile).replaceAll('\\u', '\\u')}) }}`);
    put('chat.jsonl', '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}\n');
    const file = config('raise.json', { data: { train: 'chat.jsonl', chatTemplate: template } });
    checkShown(await glulam('data', file), '\\x1b]0;pwned\\x07');
  });

  test('keys and values of configs, and words on the command line', async () => {
    checkShown(await glulam('data', config('key-of-config.json', { [hostile]: 1, data: { train: 'chat.jsonl' } })));
    checkShown(
      await glulam('plan', config('kind.json', { data: { train: 'chat.jsonl' }, adapter: { kind: hostile } })),
      '\\u202etxt',
    );
    checkShown(await glulam(hostile.replaceAll('\u0000', '')));
    checkShown(await glulam('train', `./${hostile}.json`));
    checkShown(await glulam('data', put('broken.yaml', `a: [${hostile}`)), '\\x1b');
  });

  test('the names of files and folders, in results and in errors', async () => {
    const name = hostile.replaceAll('/', '');
    put(`${name}/rows.jsonl`, `${good}\n`);
    const file = config('named.json', { data: { train: `${name}/rows.jsonl` } });
    const ended = await glulam('data', file);
    expect(ended.code).toBe(0);
    checkShown(ended);
    // Colours of ours are there on a terminal, and theirs are not.
    const colours = await shell(`$G data ${quoted(file)}`, { ...atTerminal, NO_COLOR: '', TERM: 'xterm' });
    expect(colours.out).toContain('\u001b[32m');
    const others = (text: string) => text.replace(/\u001b\[(1|22|2|32|39)m|\r\u001b\[K/g, '');
    checkShown({ ...colours, out: others(colours.out), err: others(colours.err) });
  });

  test('model types, tensors, shards and special tokens of a base', async () => {
    const type = base('type', (folder) =>
      editJson(path.join(folder, 'config.json'), (fields) => ({
        ...fields,
        model_type: hostile,
        architectures: [hostile],
      })),
    );
    checkShown(await glulam('plan', type), '\\u202etxt');
    const key = base('key', (folder) =>
      editJson(path.join(folder, 'config.json'), (fields) => ({ ...fields, [hostile]: 1 })),
    );
    checkShown(await glulam('generate', key, '--prompt', 'x', '--max-tokens', '1'), '\\u202etxt');
    const shard = base('shard', (folder) => {
      rmSync(path.join(folder, 'model.safetensors'));
      writeFileSync(
        path.join(folder, 'model.safetensors.index.json'),
        JSON.stringify({ weight_map: { 'model.embed_tokens.weight': `${hostile}.safetensors` } }),
      );
    });
    checkShown(await glulam('generate', shard, '--prompt', 'x'), '\\u202etxt');
    const tensor = base('tensor', (folder) => {
      const header = Buffer.from(JSON.stringify({ [hostile]: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([length, header, Buffer.alloc(4)]));
    });
    checkShown(await glulam('generate', tensor, '--prompt', 'x'), '\\u202etxt');
  });

  test('plugins: warnings, names of evaluators and scores, and what they throw', async () => {
    put(
      'plugin.mjs',
      `import { definePlugin } from ${JSON.stringify(path.join(root, 'packages/plugin/dist/index.js'))};
       import { evaluators } from ${JSON.stringify(path.join(root, 'packages/trainer/dist/index.js'))};
       import { z } from ${JSON.stringify(path.join(root, 'node_modules/zod/index.js'))};
       const words = ${JSON.stringify(hostile)};
       const contribution = {
         kind: 'loud', schema: z.object({ fail: z.boolean().default(false) }),
         open: ({ fail }) => ({ async evaluate({ warn }) {
           warn('warned ' + words);
           if (fail) throw new Error('thrown ' + words);
           return { ['score ' + words]: 0.5 };
         } }),
       };
       export default () => definePlugin({ name: 'loud', contract: 2, register: (r) => r.contribute(evaluators, { create: () => contribution }) });`,
    );
    rows('q.jsonl', ...Array.from({ length: 8 }, () => good));
    const fields = { plugins: [path.join(work, 'plugin.mjs')], data: { train: 'q.jsonl' } };
    for (const fail of [false, true]) {
      const file = config(`loud-${fail}.json`, { ...fields, evaluate: { evaluators: [{ kind: 'loud', fail }] } });
      const run = path.join(work, `loud-${fail}`);
      const trained = await glulamAlone('train', file, '--train.steps', '1', '--train.batch', '1', '--out', run);
      checkShown(trained, fail ? 'thrown \\x1b' : 'score \\x1b');
      checkShown(trained, 'warned \\x1b');
      const scored = await glulamAlone('eval', file);
      checkShown(scored, fail ? 'thrown \\x1b' : 'warned \\x1b');
      if (fail) continue;
      // JSON has the very words, in escapes.
      expect(JSON.parse(scored.out)).toMatchObject({ [`score ${hostile}`]: 0.5 });
      const events = readFileSync(path.join(run, 'events.jsonl'), 'utf8');
      expect(events).not.toMatch(obeyed);
      expect(
        events
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as object),
      ).toContainEqual(expect.objectContaining({ type: 'warning', message: `loud: warned ${hostile}` }));
      expect(readFileSync(path.join(run, 'README.md'), 'utf8')).not.toMatch(obeyed);
      const lines = await glulamAlone(
        'train',
        file,
        '--train.steps',
        '1',
        '--train.batch',
        '1',
        '--out',
        `${run}-2`,
        '--reporters',
        '[{"kind":"jsonl"}]',
      );
      expect(lines.out).not.toMatch(obeyed);
      expect(lines.out).toContain('\\u202etxt');
    }
  });

  test('plugins that a run names, when trust lists them', async () => {
    const run = path.join(work, 'named-run');
    put('named-run/config.json', JSON.stringify({ base: tiny, data: { train: 'q.jsonl' }, plugins: [hostile] }));
    const env = { XDG_CONFIG_HOME: path.join(work, 'xdg') };
    checkShown(await shell(`$G plan ${quoted(run)}`, env));
    checkShown(await shell(`$G trust ${quoted(run)}`, env));
  });

  test('generated text: visible on a terminal, exact in a file', async () => {
    const loud = base('loud-base', (folder) =>
      editJson(path.join(folder, 'tokenizer.json'), (fields) => ({
        ...fields,
        decoder: {
          type: 'Sequence',
          decoders: [
            ...((fields['decoder'] as unknown as { decoders?: object[] })?.decoders ?? [fields['decoder']]),
            ...'0123456789'
              .split('')
              .map((digit) => ({ type: 'Replace', pattern: { String: digit }, content: '\u001b[2Jboo\u202e' })),
          ],
        },
      })),
    );
    const command = `$G generate ${loud} --prompt 'Question: 1 + 1?' --max-tokens 12`;
    const file = await shell(command);
    expect(file).toMatchObject({ code: 0, err: '' });
    expect(file.out).toContain('\u001b[2Jboo\u202e');
    const terminal = await shell(command, atTerminal);
    checkShown(terminal, '\\x1b[2Jboo\\u202e');
    expect(terminal.out).toBe(file.out.replaceAll('\u001b', '\\x1b').replaceAll('\u202e', '\\u202e'));
    const chat = `echo '1 + 1?' | $G chat ${loud} --data.chatTemplate plain --max-tokens 12`;
    expect((await shell(chat)).out).toContain('\u001b[2J');
    checkShown(await shell(chat, atTerminal), '\\x1b[2Jboo\\u202e');
  });
});

describe.skipIf(!onPosix)('outputs that end', () => {
  const full = '/dev/full';
  beforeEach(({ skip }) => skip(!existsSync(full), 'no /dev/full here'));

  test.each(['--help', 'plugins --json', `data ${quickstart}`])(
    '%s | a reader that reads nothing: quiet, as other programs',
    async (command) => {
      // The reader is gone before anything is written.
      const { out, err } = await shell(`{ $G ${command}; echo "code $?" >&2; } | true`);
      expect({ out, err }).toEqual({ out: '', err: 'code 141\n' });
    },
  );

  test('generate | head -c1: it stops, quiet', async () => {
    const { code, out, err } = await shell(
      `set -o pipefail; $G generate ${tiny} --prompt 'Question: 1' --max-tokens 4000 --stop none-such | head -c1`,
    );
    expect({ code, err, letters: out.length }).toEqual({ code: 141, err: '', letters: 1 });
  });

  test.each(['--help', 'plugins', `data ${quickstart}`, `generate ${tiny} --prompt x --max-tokens 9`])(
    '%s > /dev/full: one line, and it failed',
    async (command) => {
      const { code, err } = await shell(`$G ${command} > ${full}`);
      expect(code).toBe(1);
      expect(err).toMatch(/^error \[OUTPUT_UNWRITABLE\]: the output cannot be written \(ENOSPC[^\n]*\n$/);
    },
  );

  test('train > /dev/full: the run is whole, one line says why it printed nothing, and it failed', async () => {
    const run = path.join(work, 'full');
    const { code, err } = await shell(`$G train ${quickstart} ${short.join(' ')} --out ${run} > ${full}`);
    expect(code).toBe(1);
    expect(err).toMatch(/^\[@glulam\/reporter-console\][^\n]*ENOSPC[^\n]*the run goes on without this reporter\n$/);
    expect(existsSync(path.join(run, 'adapter/adapter_config.json'))).toBe(true);
  });

  test('stdout or stderr that is closed, and stderr that is full', async () => {
    const plan = expect.stringContaining('8 physical layers as 12 virtual layers') as string;
    expect(await shell(`$G plan ${quickstart} >&-`)).toMatchObject({ code: 0, out: '', err: '' });
    expect(await shell(`$G plan ${quickstart} 2>&-`)).toMatchObject({ code: 0, out: plan });
    expect(await shell(`$G plan ${quickstart} 2>${full}`)).toMatchObject({ code: 0, out: plan });
    expect(await shell(`$G no-command 2>${full}`)).toMatchObject({ code: 1 });
  });
});

describe.skipIf(!onPosix)('places that cannot be written', () => {
  const run = path.join(work, 'whole');
  beforeAll(async () => {
    expect(await glulam('train', quickstart, ...short, '--out', run)).toMatchObject({ code: 0 });
    put('file', 'in the way');
  });

  // Tests run as root in many places, whom no permission stops: below a file it is ENOTDIR for everybody, and /proc refuses
  // every folder, with ENOENT.
  const places = ['file/below', ...['/proc/glulam'].filter((at) => existsSync(path.dirname(at)))];
  // Seven commands, one after another.
  test.each(places)('%s: each command says so with the place and what helps, and leaves nothing', async (place) => {
    const before = readdirSync(work).sort();
    for (const [command, codes] of [
      [`train ${quickstart} ${short.join(' ')} --out ${place}`, /RUN_WRITE_FAILED/],
      [`train ${place} --resume`, /CONFIG_NOT_FOUND|CONFIG_UNREADABLE|FILE_UNUSABLE/],
      [`train ${quickstart} ${short.join(' ')} --out ${place} --resume`, /RUN_WRITE_FAILED/],
      [`merge ${run} --out ${place}`, /OUTPUT_UNUSABLE/],
      [`export ${run} --gguf ${place}`, /OUTPUT_UNUSABLE|WRITE_FAILED/],
      [`data ${quickstart} --data.cache ${path.resolve(work, place)}`, /CACHE_WRITE_FAILED/],
      [`ablate ${quickstart} --out ${place}`, /FOLDER_UNUSABLE/],
    ] as const) {
      const { code, err } = await shell(`$G ${command}`);
      expect([command, code, err]).toEqual([
        command,
        1,
        expect.stringMatching(new RegExp(`^error \\[(${codes.source})\\]: `, 'm')),
      ]);
      expect(err).toContain(place);
      expect(err).toMatch(/name|choose|make room|remove|expected/);
      noStack(err);
    }
    expect(readdirSync(work).sort()).toEqual(before);
    expect(readFileSync(path.join(work, 'file'), 'utf8')).toBe('in the way');
  });

  test('a file that may not grow (ulimit -f), in the middle of a checkpoint: nothing half written, and it resumes', async () => {
    const out = path.join(work, 'limited');
    // The tokens are made first, so that the checkpoint is what meets the limit.
    const options = `${short.join(' ')} --checkpoint.every 1 --data.cache ${path.join(work, 'cache')}`;
    expect(await shell(`$G data ${quickstart} --data.cache ${path.join(work, 'cache')}`)).toMatchObject({ code: 0 });
    const { code, err } = await shell(`ulimit -f 200; $G train ${quickstart} ${options} --out ${out}`);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error \[WRITE_FAILED\]: .* was not written, what was there before is untouched: EFBIG.*ulimit -f/m,
    );
    noStack(err);
    expect(readdirSync(path.join(out, 'checkpoints'))).toEqual([]);
    expect(existsSync(path.join(out, 'adapter'))).toBe(false);
    expect(await shell(`$G train ${out} --resume`)).toMatchObject({ code: 0 });
    expect(existsSync(path.join(out, 'adapter/adapter_model.safetensors'))).toBe(true);
  });

  test('a file that may not grow, in the middle of a merge and an export: nothing under the name, and nothing beside it', async () => {
    const place = path.join(work, 'limited-merge');
    mkdirSync(place);
    for (const command of [`merge ${run} --out ${place}/m`, `export ${run} --gguf ${place}/m.gguf`]) {
      const { code, err } = await shell(`ulimit -f 2000; $G ${command}`);
      expect([code, err]).toEqual([1, expect.stringMatching(/error \[WRITE_FAILED\]: .*EFBIG.*ulimit -f/)]);
      noStack(err);
      expect(readdirSync(place)).toEqual([]);
    }
  });

  test.each(['SIGHUP', 'SIGTERM', 'SIGINT'])('%s ends a run after its step, with a checkpoint', async (signal) => {
    const out = path.join(work, signal);
    const script = `exec $G train ${quickstart} --train.steps 5000 --train.batch 1 --evaluate.evaluators '[]' --out ${out}`;
    const ended = shell(script);
    await expect
      .poll(() => existsSync(path.join(out, 'events.jsonl')) && readFileSync(path.join(out, 'events.jsonl'), 'utf8'), {
        timeout: 120_000,
      })
      .toMatch(/step\.finished/);
    process.kill(ended.pid, signal);
    const { code, out: printed } = await ended;
    expect([code, printed]).toEqual([0, expect.stringMatching(/stopped after step \d+: interrupted/)]);
    expect(readdirSync(path.join(out, 'checkpoints'))).toHaveLength(1);
  });
});

test('a clock that goes back leaves no negative time or speed, and events in order', async () => {
  // Each question of the time is answered an hour earlier than the one before.
  const back = {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent('let now=Date.now();Date.now=()=>(now-=3600000)')}`,
  };
  const out = path.join(work, 'clock');
  const few = `--train.steps 6 --train.batch 2 --data.heldOut ${smallHeldOut()}`;
  const args = `${quickstart} ${few} --checkpoint.every 3 --out ${out}`;
  const trained = await shell(`$G train ${args}`, back);
  expect(trained).toMatchObject({ code: 0, err: '' });
  // Temporary folders and files have random names, which may hold a hyphen and a digit.
  expect(trained.out.replaceAll(/\S*glulam-\S*/g, '')).not.toMatch(/-\d/);
  const events = readFileSync(path.join(out, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; time: number; seconds?: number; tokensPerSecond?: number });
  const times = events.map(({ time }) => time);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(events.at(-1)!.seconds).toBeGreaterThan(0);
  for (const { tokensPerSecond } of events)
    if (tokensPerSecond !== undefined) expect(tokensPerSecond).toBeGreaterThan(0);
  expect(readFileSync(path.join(out, 'README.md'), 'utf8')).not.toMatch(/\| time \| -/);
  // A session after it was set back by a day resumes all the same.
  rmSync(path.join(out, 'adapter'), { recursive: true });
  rmSync(path.join(out, 'checkpoints/step-00000006'), { recursive: true });
  const resumed = await shell(`$G train ${out} --resume`, back);
  expect(resumed).toMatchObject({ code: 0 });
  expect(resumed.out).toMatch(/going on from the checkpoint of step 3\n/);
});
