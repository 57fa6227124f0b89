import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { InputRole } from '@glulam/trainer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openHubSource } from './hub-source.js';

const commit = 'a'.repeat(40);
const content = { 'config.json': '{"model_type":"mistral"}', 'tokenizer.json': '{}', 'model.safetensors': 'weights' };
type Name = keyof typeof content;

const blob = (text: string): string => createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex');
const listing = Object.entries(content).map(([name, text]) => ({
  type: 'file',
  path: name,
  size: text.length,
  oid: blob(text),
}));
const changed = (file: Name, change: object): unknown =>
  listing.map((entry) => (entry.path === file ? { ...entry, ...change } : entry));

/** What a server of an attacker answers; what is undefined is answered well. */
interface Answers {
  revision?: (request: IncomingMessage, response: ServerResponse) => void;
  tree?: (request: IncomingMessage, response: ServerResponse) => void;
  pathsInfo?: (request: IncomingMessage, response: ServerResponse) => void;
  file?: (request: IncomingMessage, response: ServerResponse, name: string) => void;
}

let home: string;
let server: Server;
let answers: Answers;
let requests: string[];
let warnings: string[];

const json = (response: ServerResponse, value: unknown, headers = {}): void =>
  void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

beforeEach(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'glulam-hostile-hub-'));
  [answers, requests, warnings] = [{}, [], []];
  server = createServer((request, response) => {
    const url = request.url!;
    requests.push(url);
    response.on('error', () => {});
    if (url.includes('/revision/')) {
      if (answers.revision !== undefined) return answers.revision(request, response);
      return json(response, { _id: '1', id: 'ev/il', sha: commit });
    }
    if (url.includes('/tree/'))
      return answers.tree === undefined ? json(response, listing) : answers.tree(request, response);
    if (url.includes('/paths-info/')) return answers.pathsInfo!(request, response);
    const name = /\/resolve\/[^/]+\/(.+)$/.exec(url)![1]!;
    if (answers.file !== undefined) return answers.file(request, response, name);
    response.writeHead(200).end(content[name as Name]);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  for (const name of [
    'HF_TOKEN',
    'HF_HUB_CACHE',
    'HF_HUB_OFFLINE',
    'HUGGING_FACE_HUB_TOKEN',
    'HF_TOKEN_PATH',
    'TRANSFORMERS_OFFLINE',
    'HUGGINGFACE_HUB_CACHE',
  ])
    vi.stubEnv(name, undefined);
  vi.stubEnv('HF_HOME', path.join(home, 'hf'));
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  writeFileSync(path.join(home, 'SECRET.txt'), 'secret');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(home, { recursive: true });
});

const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((each) => !each.isDirectory())
        .map((each) => path.relative(home, path.join(each.parentPath, each.name)))
    : [];
const repositoryFolder = (): string => path.join(home, 'hf/hub/models--ev--il');

async function bring(name = 'ev/il', role: InputRole = 'base', signal = new AbortController().signal): Promise<string> {
  const context = { signal, onProgress: () => {}, warn: (message: string) => void warnings.push(message) };
  const source = openHubSource(context, { firstDelay: 1, silence: 300 });
  return source.fetch(await source.pin(name, role), role);
}

/** Everything outside of the repository's folder is as before, and so are its blobs and links. */
function expectNothingWritten(): void {
  const outside = filesBelow(home).filter((file) => !/^hf\/hub\/models--ev--il\/(refs|trees)\//.test(file));
  expect(outside).toEqual(['SECRET.txt']);
}

describe('a listing with', () => {
  const wrong: Record<string, [unknown, RegExp]> = {
    'an oid that leads out of the cache': [
      changed('config.json', { oid: '../../../../SECRET.txt' }),
      /"config.json" with the oid "..\/..\/..\/..\/SECRET.txt", expected 40 hexadecimal digits/,
    ],
    'an absolute oid': [changed('config.json', { oid: '/etc/passwd' }), /oid "\/etc\/passwd", expected 40/],
    'an oid in capitals': [changed('config.json', { oid: 'A'.repeat(40) }), /expected 40/],
    'an oid and a line feed': [changed('config.json', { oid: `${'a'.repeat(40)}\n` }), /expected 40/],
    'an oid that is a list': [changed('config.json', { oid: ['a'.repeat(40)] }), /expected 40/],
    'no oid': [changed('config.json', { oid: undefined }), /the oid missing, expected 40/],
    'an lfs.oid that leads out': [
      changed('model.safetensors', { lfs: { oid: '../../SECRET.txt', size: 7, pointerSize: 1 } }),
      /lfs.oid ".*", expected 64 hexadecimal digits/,
    ],
    'an lfs.oid of the length of an oid': [
      changed('model.safetensors', { lfs: { oid: 'b'.repeat(40), size: 7, pointerSize: 1 } }),
      /expected 64/,
    ],
    'a negative size': [changed('config.json', { size: -1 }), /size -1, expected a whole number/],
    'a size that is text': [changed('config.json', { size: '9' }), /size "9"/],
    'a path that is a number': [changed('config.json', { path: 5 }), /path 5/],
    'a path of a megabyte': [changed('config.json', { path: 'a'.repeat(1e6) }), /expected 1 to 4096 characters/],
    'an oid of a file that is not wanted': [
      [...listing, { type: 'file', path: 'other', size: 1, oid: '../x' }],
      /"other" with the oid/,
    ],
  };
  test.each(Object.entries(wrong))('%s is refused, and nothing is written', async (_, [tree, message]) => {
    answers.tree = (__, response) => json(response, tree);
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringMatching(message) as string,
    });
    expectNothingWritten();
  });

  test.each(['../x.safetensors', 'a/../../x.safetensors', '/x.safetensors', 'a\\x.safetensors'])(
    'a shard %s, which the index names, is refused',
    async (shard) => {
      const index = JSON.stringify({ weight_map: { w: shard } });
      const name = 'model.safetensors.index.json';
      answers.tree = (_, response) =>
        json(response, [
          ...listing.filter(({ path: file }) => file !== 'model.safetensors'),
          { type: 'file', path: name, size: index.length, oid: blob(index) },
          { type: 'file', path: shard, size: 7, oid: blob('weights') },
        ]);
      answers.file = (_, response, file) => void response.end(file === name ? index : content[file as Name]);
      await expect(bring()).rejects.toMatchObject({ code: 'NAME_INVALID' });
      expect(filesBelow(home).filter((file) => !file.startsWith('hf/hub/models--ev--il/'))).toEqual(['SECRET.txt']);
    },
  );

  test('a million shards that are not there is said in a line', async () => {
    const index = JSON.stringify({
      weight_map: Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [i, `${i}.safetensors`])),
    });
    const name = 'model.safetensors.index.json';
    answers.tree = (_, response) =>
      json(response, [{ type: 'file', path: name, size: index.length, oid: blob(index) }]);
    answers.file = (_, response) => void response.end(index);
    const error = await bring().then(
      () => undefined,
      (cause: Error) => cause,
    );
    expect(error).toMatchObject({ message: expect.stringMatching(/and 299995 more/) as string });
    expect(error!.message.length).toBeLessThan(2000);
  });

  test('a config of 7 GB is refused before any of it is downloaded', async () => {
    answers.tree = (_, response) => json(response, changed('config.json', { size: 7e9 }));
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringMatching(/^config.json of ev\/il has 7000000000 bytes/) as string,
    });
    expect(requests.some((url) => url.includes('resolve'))).toBe(false);
  });

  test.each(['__proto__', 'constructor'])('a file %s is like any other', async (name) => {
    const entry = { type: 'file', path: name, size: 1, oid: 'c'.repeat(40) };
    answers.tree = (_, response) => json(response, [...listing, entry]);
    await expect(bring()).resolves.toContain(commit);
    expect(({} as { size?: unknown }).size).toBeUndefined();
  });
});

test.each([['../../../../SECRET.txt'], ['a'.repeat(39)], ['A'.repeat(40)], [[commit]], [null], [{}]])(
  'a commit %j is refused',
  async (sha) => {
    answers.revision = (_, response) => json(response, { _id: '1', id: 'ev/il', sha });
    await expect(bring()).rejects.toMatchObject({ code: 'REQUEST_REFUSED' });
    expect(filesBelow(home)).toEqual(['SECRET.txt']);
  },
);

test('the hashes of a file that is asked for by itself are checked too', async () => {
  answers.pathsInfo = (_, response) =>
    json(response, [{ type: 'file', path: 'rows.jsonl', size: 6, oid: '../../../../SECRET.txt' }]);
  await expect(bring(`hf://datasets/ev/il@${commit}/rows.jsonl`, 'data')).rejects.toMatchObject({
    code: 'REQUEST_REFUSED',
    message: expect.stringContaining('expected 40 hexadecimal digits') as string,
  });
  expectNothingWritten();
});

describe('an existing cache', () => {
  const write = (name: string, text: string): void => {
    const file = path.join(repositoryFolder(), name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  };

  test('whose listing has a hash that leads out is asked for again', async () => {
    const files = { 'config.json': { size: 6, blob_id: '../../../../SECRET.txt' } };
    write(`trees/${commit}.json`, JSON.stringify({ format_version: 1, files }));
    const folder = await bring();
    expect(readFileSync(path.join(folder, 'config.json'), 'utf8')).toBe(content['config.json']);
    expect(requests.some((url) => url.includes('/tree/'))).toBe(true);
  });

  test.each(['../../../SECRET.txt', 'a'.repeat(41), 'x'.repeat(5e6), ''])(
    'with the ref %.20s has none',
    async (text) => {
      write('refs/main', text);
      vi.stubEnv('HF_HUB_OFFLINE', '1');
      await expect(bring()).rejects.toMatchObject({ code: 'OFFLINE' });
    },
  );

  test('with a pipe or a link in the place of a ref or a listing reads neither and leaves them', async () => {
    mkdirSync(path.join(repositoryFolder(), 'refs'), { recursive: true });
    mkdirSync(path.join(repositoryFolder(), 'trees'));
    symlinkSync(path.join(home, 'SECRET.txt'), path.join(repositoryFolder(), 'refs/main'));
    execFileSync('mkfifo', [path.join(repositoryFolder(), `trees/${commit}.json`)]);
    await expect(bring()).resolves.toContain(commit);
    expect(readFileSync(path.join(home, 'SECRET.txt'), 'utf8')).toBe('secret');
  });
});

describe('answers without an end', () => {
  const endless = (response: ServerResponse, status = 200): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    const piece = Buffer.alloc(2 ** 20, ' ');
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', more);
    more();
  };

  test('JSON of any size', async () => {
    answers.revision = (_, response) => endless(response);
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringContaining('longer than 16000000 bytes') as string,
    });
    answers.revision = (_, response) => endless(response, 404);
    await expect(bring()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a page that leads to itself', async () => {
    answers.tree = (request, response) =>
      json(response, listing, { link: `<${process.env['HF_ENDPOINT']}${request.url}>; rel="next"` });
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringMatching(/without an end: it gave the same page twice, after 1/) as string,
    });
    expect(requests.length).toBeLessThan(10);
  });

  test('a page that leads to another, again and again', async () => {
    let page = 0;
    answers.tree = (_, response) =>
      json(response, [], {
        link: `<${process.env['HF_ENDPOINT']}/api/models/ev/il/tree/${commit}?page=${++page}>; rel="next"`,
      });
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringMatching(/at most 1000 pages/) as string,
    });
  });

  test('headers', async () => {
    answers.revision = ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write(`x-${Math.random()}: ${'y'.repeat(1000)}\r\n`), 5);
      socket.on('close', () => clearInterval(timer));
      socket.on('error', () => {});
    };
    await expect(bring()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  /** A byte now and then. */
  const trickle = (response: ServerResponse, headers = {}): void => {
    response.writeHead(200, headers);
    const timer = setInterval(() => response.write(' '), 50);
    response.on('close', () => clearInterval(timer));
  };

  test('JSON that comes byte by byte', async () => {
    answers.revision = (_, response) => trickle(response, { 'content-type': 'application/json' });
    await expect(bring()).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('too slowly') as string,
    });
  });

  test('a file that comes byte by byte', async () => {
    answers.tree = (_, response) => json(response, changed('config.json', { size: 1e6 }));
    answers.file = (_, response) => trickle(response);
    await expect(bring()).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/only \d+ bytes came in 0.3 s.*they are kept/) as string,
    });
  });

  test('a file that stops', async () => {
    answers.file = (_, response) => void response.writeHead(200).write('{');
    await expect(bring()).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('stopped') as string,
    });
  });

  test.each([301, 302, 307])('redirections by %i', async (status) => {
    answers.revision = (request, response) => void response.writeHead(status, { location: request.url! }).end();
    await expect(bring()).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringContaining('redirect count exceeded') as string,
    });
  });

  test.each(['file:///etc/passwd', 'data:application/json,{}', 'ftp://127.0.0.1/x'])(
    'a redirection to %s is not followed',
    async (location) => {
      answers.revision = (_, response) => void response.writeHead(302, { location }).end();
      await expect(bring()).rejects.toMatchObject({
        code: 'REQUEST_REFUSED',
        message: expect.stringContaining('URL scheme') as string,
      });
    },
  );
});

describe('an interrupt ends within a second', () => {
  const slow: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
    'of a question that is not answered': () => {},
    'of an answer that stops': (_, response) => void response.writeHead(200).write('['),
  };
  test.each(Object.entries(slow))('%s', async (_, answer) => {
    answers.tree = answer;
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('interrupted')), 100);
    const started = performance.now();
    await expect(bring('ev/il', 'base', controller.signal)).rejects.toThrow('interrupted');
    expect(performance.now() - started).toBeLessThan(1100);
  });

  test('of a download, whose beginning is kept and gone on from', async () => {
    const text = 'x'.repeat(200_000);
    answers.tree = (_, response) => json(response, changed('config.json', { size: text.length, oid: blob(text) }));
    answers.file = (_, response) => void response.writeHead(200).write(text.slice(0, 120_000));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('interrupted')), 200);
    const started = performance.now();
    await expect(bring('ev/il', 'base', controller.signal)).rejects.toThrow('interrupted');
    expect(performance.now() - started).toBeLessThan(1200);
    const [partial, ...others] = readdirSync(path.join(repositoryFolder(), 'blobs'));
    expect([partial, others]).toEqual([expect.stringMatching(/^[0-9a-f]{40}\.\d+-[0-9a-f]{8}\.incomplete$/), []]);

    const ranges: (string | undefined)[] = [];
    answers.file = (request, response, name) => {
      if (name !== 'config.json') return void response.end(content[name as Name]);
      ranges.push(request.headers.range);
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const range = { 'content-range': `bytes ${from}-${text.length - 1}/${text.length}` };
      response.writeHead(from === 0 ? 200 : 206, range).end(text.slice(from));
    };
    expect(readFileSync(path.join(await bring(), 'config.json'), 'utf8')).toBe(text);
    expect(ranges).toEqual(['bytes=120000-']);
  });
});

test.each([`${'a'.repeat(50)}/${'b'.repeat(50)}`, 'a/../b', '../a', 'a/b/c', 'a--b/c'])(
  'the name %s is no repository',
  async (name) => {
    await expect(bring(name)).rejects.toMatchObject({ code: 'NAME_INVALID' });
    expect(requests).toEqual([]);
  },
);
