import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runShared } from '../support/cli.js';

// What a folder of somebody else's may hold: pipes, devices, files without an end, links to files of the reader's. By the
// built command line, so that one that waits for ever can be ended.
const root = path.resolve(import.meta.dirname, '../..');
const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const rows = path.join(root, 'examples/data/word-problems.train.jsonl');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-strangers-'));
const at = (...parts: string[]): string => path.join(work, ...parts);

const offline = 'http://127.0.0.1:9';
const glulam = (...args: string[]) => glulamAt(offline, ...args);
const glulamAt = (HF_ENDPOINT: string, ...args: string[]) =>
  runShared(args, { cwd: work, env: { ...process.env, HF_TOKEN: 'none', HF_ENDPOINT, HF_HOME: at('hf') } });

let bases = 0;
/** A copy of the tiny base, changed, and a config of it. */
function base(change: (folder: string) => void): { readonly folder: string; readonly config: string } {
  const folder = at(`base-${++bases}`);
  cpSync(tiny, folder, { recursive: true });
  change(folder);
  const config = `${folder}.json`;
  const expansion = {
    kind: 'layer_map',
    layer_map: [
      [0, 4],
      [2, 8],
    ],
  };
  writeFileSync(
    config,
    JSON.stringify({ base: folder, expansion, data: { train: rows }, train: { steps: 1, batch: 1 } }),
  );
  return { folder, config };
}
const pipe = (file: string): void => {
  rmSync(file, { force: true });
  execFileSync('mkfifo', [file]);
};
const device = (file: string): void => {
  rmSync(file, { force: true });
  symlinkSync('/dev/zero', file);
};
const huge = (file: string): void => {
  writeFileSync(file, '');
  truncateSync(file, 7e9);
};

describe('neither waited for nor read', () => {
  test.each([
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
    'chat_template.jinja',
    'model.safetensors',
  ])('a pipe in the place of %s', async (name) => {
    const { folder } = base((copy) => pipe(path.join(copy, name)));
    const { code, err } = await glulam('generate', folder, '--prompt', 'a', '--max-tokens', '1');
    expect(err).toContain(`${path.join(folder, name)}`);
    expect(err).toContain('it is a named pipe, expected a regular file');
    expect(code).toBe(1);
  });

  test.each(['config.json', 'tokenizer.json', 'chat_template.jinja'])('a %s of 7 GB', async (name) => {
    const { folder } = base((copy) => huge(path.join(copy, name)));
    const { code, err } = await glulam('generate', folder, '--prompt', 'a', '--max-tokens', '1');
    expect(err).toMatch(/has 7000000000 bytes, expected at most (10|64)000000/);
    expect(code).toBe(1);
  });

  test('a device in the place of config.json', async () => {
    const { folder } = base((copy) => device(path.join(copy, 'config.json')));
    expect((await glulam('generate', folder, '--prompt', 'a')).err).toContain(
      'it is a device, expected a regular file',
    );
  });

  test('pipes as configs, data, and templates', async () => {
    for (const name of ['config.json', 'config.yaml', 'config.ts', 'rows.jsonl', 'rows.parquet', 'template'])
      pipe(at(name));
    const { config } = base(() => {});
    const faults = await Promise.all([
      glulam('plan', at('config.json')),
      glulam('plan', at('config.yaml')),
      glulam('plan', at('config.ts')),
      glulam('data', config, '--data.train', at('rows.jsonl')),
      glulam('data', config, '--data.train', at('rows.parquet')),
      glulam('data', config, '--data.chatTemplate', at('template')),
    ]);
    for (const { code, err } of faults) {
      expect(err).toContain('it is a named pipe, expected a regular file');
      expect(code).toBe(1);
    }
  });

  test('pipes in folders of data, adapters, and run folders', async () => {
    const { config } = base(() => {});
    mkdirSync(at('data'));
    writeFileSync(at('data/a.jsonl'), '{"text":"a row"}\n');
    pipe(at('data/b.jsonl'));
    expect(await glulam('data', config, '--data.train', at('data'))).toMatchObject({ code: 0 });
    expect(await glulam('data', config, '--data.train', at('data/*.jsonl'))).toMatchObject({ code: 0 });

    mkdirSync(at('adapter'));
    pipe(at('adapter/adapter_config.json'));
    mkdirSync(at('run/adapter'), { recursive: true });
    writeFileSync(at('run/adapter/adapter_config.json'), '{}');
    pipe(at('run/config.json'));
    mkdirSync(at('locked'));
    pipe(at('locked/lock.1'));
    const faults = await Promise.all([
      glulam('generate', at('adapter'), '--prompt', 'a', '--base', tiny),
      glulam('eval', at('run')),
      glulam('train', config, '--out', at('locked')),
    ]);
    for (const { code, err } of faults) {
      expect(err).toContain('it is a named pipe, expected a regular file');
      expect(code).toBe(1);
    }
  });

  test('pipes in a run folder that is pushed', async () => {
    const folder = at('pushed');
    mkdirSync(path.join(folder, 'adapter'), { recursive: true });
    writeFileSync(path.join(folder, 'adapter/adapter_config.json'), '{}');
    mkdirSync(path.join(folder, 'checkpoints'));
    // These are not pushed, so they are passed over.
    for (const name of ['config.json', 'best.json', 'events.jsonl']) pipe(path.join(folder, name));
    // A Hub that refuses, for one that is away is asked again and again.
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      response.writeHead(403).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, err } = await glulamAt(`http://127.0.0.1:${port}`, 'push', folder, '--to', 'a/b');
    server.close();
    expect([code, err]).toEqual([1, expect.stringContaining(`127.0.0.1:${port}`)]);
    expect(asked[0]).toContain('a/b');
    for (const name of ['README.md', 'loss.svg', 'adapter/adapter_model.safetensors']) {
      pipe(path.join(folder, name));
      const refused = await glulam('push', folder, '--to', 'a/b');
      expect(refused).toMatchObject({
        code: 1,
        err: expect.stringContaining(`${path.join(folder, name)} cannot be copied: it is a named pipe`) as string,
      });
      rmSync(path.join(folder, name));
    }
  });
});

describe('links that lead out of a base', () => {
  writeFileSync(at('SECRET.txt'), 'the secret');

  test.each(['chat_template.jinja', 'LICENSE.txt', 'tokenizer_config.json', 'config.json'])(
    '%s is not copied, by merge or export, and nothing is left',
    async (name) => {
      const { folder, config } = base((copy) => {
        const file = path.join(copy, name);
        if (existsSync(file)) renameSync(file, `${copy}-${name}`);
        else cpSync(at('SECRET.txt'), `${copy}-${name}`);
        symlinkSync(`../${path.basename(copy)}-${name}`, file);
      });
      const [merged, exported] = await Promise.all([
        glulam('merge', config, '--out', `${folder}-merged`),
        glulam('export', config, '--gguf', `${folder}.gguf`),
      ]);
      for (const { code, err } of [merged, exported]) {
        expect(err).toMatch(new RegExp(`LINK_OUTSIDE[^]*${name} -> .*-${name}`));
        expect(code).toBe(1);
      }
      const left = readdirSync(work).filter(
        (entry) => entry.includes(path.basename(folder)) && /merg|gguf/.test(entry),
      );
      expect(left).toEqual([]);
      expect(await glulam('generate', folder, '--prompt', 'a', '--max-tokens', '1')).toMatchObject({ code: 0 });
    },
  );

  test('weights on another disk are read, merged with a note, and not pushed', async () => {
    const { folder, config } = base((copy) => {
      renameSync(path.join(copy, 'model.safetensors'), `${copy}.safetensors`);
      symlinkSync(`${copy}.safetensors`, path.join(copy, 'model.safetensors'));
    });
    const merged = await glulam('merge', config, '--out', `${folder}-merged`);
    expect(merged).toMatchObject({
      code: 0,
      err: expect.stringContaining(
        `weights are links to files outside of their folder, whose content goes into what is written: ${path.join(folder, 'model.safetensors')} -> `,
      ) as string,
    });
    const pushed = await glulam('push', folder, '--to', 'owner/name');
    expect(pushed).toMatchObject({
      code: 1,
      err: expect.stringMatching(/LINK_OUTSIDE[^]*model.safetensors -> /) as string,
    });
  });

  test('a base that is itself a link is like any other, and so are links within it', async () => {
    const { folder } = base((copy) => {
      writeFileSync(path.join(copy, 'LICENSE'), 'a licence');
      symlinkSync('LICENSE', path.join(copy, 'NOTICE'));
      mkdirSync(path.join(copy, 'LICENSES'));
    });
    symlinkSync(folder, at('linked'));
    expect(await glulam('merge', at('linked'), '--out', at('merged'))).toMatchObject({
      code: 0,
      err: expect.not.stringContaining('links') as string,
    });
    expect(readFileSync(at('merged/NOTICE'), 'utf8')).toBe('a licence');
  });

  test("a run's adapter that is a link is not pushed", async () => {
    mkdirSync(at('private'));
    writeFileSync(at('private/adapter_config.json'), '{}');
    writeFileSync(at('private/notes.txt'), 'private');
    mkdirSync(at('a run'));
    symlinkSync('../private', at('a run/adapter'));
    const { code, err } = await glulam('push', at('a run'), '--to', 'owner/name');
    expect(err).toMatch(/LINK_OUTSIDE[^]*adapter\/notes.txt -> /);
    expect(code).toBe(1);
  });
});

test('a run does not begin in a folder whose adapter/ it would replace', async () => {
  const { config } = base(() => {});
  mkdirSync(at('project/adapter'), { recursive: true });
  writeFileSync(at('project/adapter/code.ts'), 'mine');
  const { code, err } = await glulam('train', config, '--out', at('project'));
  expect(err).toMatch(/RUN_INVALID.*holds adapter\/, and no run that wrote it/);
  expect(code).toBe(1);
  expect(readdirSync(at('project'), { recursive: true }).sort()).toEqual(['adapter', 'adapter/code.ts']);
});

test('a merge removes nothing from a folder that no merge has filled', async () => {
  const { config } = base(() => {});
  mkdirSync(at('.taken.merging/content'), { recursive: true });
  writeFileSync(at('.taken.merging/content/mine'), 'mine');
  const { code, err } = await glulam('merge', config, '--out', at('taken'));
  expect(err).toMatch(/OUTPUT_UNUSABLE.*holds files, and no progress.json/);
  expect(code).toBe(1);
  expect(existsSync(at('.taken.merging/content/mine'))).toBe(true);
});
