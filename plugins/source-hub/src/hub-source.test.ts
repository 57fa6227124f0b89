import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FetchProgress, InputRole } from '@glulam/trainer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startHub, type HubServer } from '../../../test/support/hub-server.js';
import { openHubSource } from './hub-source.js';

let hub: HubServer;
let home: string;
let warnings: string[];
let progress: FetchProgress[];

const model = {
  'config.json': '{"model_type":"mistral"}',
  'generation_config.json': '{}',
  'tokenizer.json': '{"a":1}',
  'tokenizer_config.json': '{}',
  'README.md': '---\nlicense: apache-2.0\n---\n',
  'model.safetensors.index.json': JSON.stringify({
    weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' },
  }),
  'model-1.safetensors': randomBytes(300_000),
  'model-2.safetensors': randomBytes(200_000),
  'pytorch_model.bin': randomBytes(1000),
  'consolidated.safetensors': randomBytes(1000),
  'onnx/model.onnx': 'x',
};
const wanted = Object.keys(model)
  .filter((name) => !/\.bin|consolidated|onnx/.test(name))
  .sort();

beforeEach(async () => {
  hub = await startHub();
  home = mkdtempSync(path.join(tmpdir(), 'glulam-hub-'));
  [warnings, progress] = [[], []];
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
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  // Nothing that was written, told or sent elsewhere has the token.
  const told = JSON.stringify({ warnings, progress });
  expect(told).not.toContain(hub.token);
  for (const file of filesBelow(home).filter((name) => path.basename(name) !== 'token'))
    expect(readFileSync(file).includes(hub.token), file).toBe(false);
  for (const { host, authorization } of hub.requests) if (host === 'files') expect(authorization).toBeUndefined();
  await hub.close();
  rmSync(home, { recursive: true });
});

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name));

/** Pin and fetch, as a run does. An error is looked through for the token. */
async function bring(name: string, role: InputRole = 'base', signal = new AbortController().signal): Promise<string> {
  const source = openHubSource(
    { signal, onProgress: (each) => progress.push(each), warn: (message) => warnings.push(message) },
    { firstDelay: 1 },
  );
  try {
    return await source.fetch(await source.pin(name, role), role);
  } catch (error) {
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      expect(`${each.message} ${each.stack} ${JSON.stringify(each)}`).not.toContain(hub.token);
    throw error;
  }
}

const cacheOf = (...parts: string[]): string => path.join(home, 'hub', ...parts);

describe('a base', () => {
  test('comes as huggingface_hub lays it out: blobs, links, refs, a listing', async () => {
    const commit = hub.put('models/owner/base', model);
    const folder = await bring('owner/base');
    expect(folder).toBe(cacheOf('models--owner--base/snapshots', commit));
    expect(readdirSync(folder).sort()).toEqual(wanted);
    for (const name of wanted) {
      const content = Buffer.from(model[name as keyof typeof model]);
      expect(readFileSync(path.join(folder, name)).equals(content)).toBe(true);
      const hash = name.endsWith('.safetensors')
        ? createHash('sha256')
        : createHash('sha1').update(`blob ${content.length}\0`);
      expect(readlinkSync(path.join(folder, name))).toBe(`../../blobs/${hash.update(content).digest('hex')}`);
    }
    expect(readFileSync(cacheOf('models--owner--base/refs/main'), 'utf8')).toBe(commit);
    const { format_version, files } = JSON.parse(
      readFileSync(cacheOf('models--owner--base/trees', `${commit}.json`), 'utf8'),
    ) as { format_version: number; files: object };
    expect([format_version, Object.keys(files).length]).toEqual([1, Object.keys(model).length]);
    expect(progress.at(-1)!.bytes).toBe(progress.at(-1)!.totalBytes);
    expect(hub.requests.some(({ authorization }) => authorization !== undefined)).toBe(false);
  });

  test('of which a plan wants no weights, gets none', async () => {
    hub.put('models/owner/base', model);
    const folder = await bring('owner/base', 'base without weights');
    expect(readdirSync(folder).some((name) => name.endsWith('.safetensors'))).toBe(false);
    expect(existsSync(path.join(folder, 'tokenizer.json'))).toBe(true);
  });

  test('in one file is taken from that', async () => {
    hub.put('models/owner/base', { ...model, 'model.safetensors': 'all' });
    const names = readdirSync(await bring('owner/base')).filter((name) => name.includes('safetensors'));
    expect(names).toEqual(['model.safetensors']);
  });

  test('that is here whole at its commit is not asked for again, not even by name', async () => {
    const commit = hub.put('models/owner/base', model);
    const folder = await bring('owner/base');
    hub.requests.length = 0;
    expect(await bring(`owner/base@${commit}`)).toBe(folder);
    expect(hub.requests).toEqual([]);
    // A branch may have moved: one question.
    expect(await bring('owner/base')).toBe(folder);
    expect(hub.requests.map(({ path: asked }) => asked.split('?')[0])).toEqual([
      '/api/models/owner/base/revision/main',
    ]);
  });

  test.each(['v1.0', 'refs/pr/3', 'feature/x'])('at the revision %s', async (branch) => {
    hub.put('models/owner/base', model);
    const commit = hub.put('models/owner/base', { ...model, 'config.json': '{"of":"branch"}' }, { branch });
    expect(readFileSync(path.join(await bring(`owner/base@${branch}`), 'config.json'), 'utf8')).toContain('branch');
    expect(readFileSync(cacheOf('models--owner--base/refs', branch), 'utf8')).toBe(commit);
    const url = `hf://owner/base@${branch.startsWith('refs/') ? branch : encodeURIComponent(branch)}/config.json`;
    expect(readFileSync(await bring(url, 'file'), 'utf8')).toContain('branch');
  });
});

test('a data file, and an adapter', async () => {
  hub.put('datasets/owner/rows', { 'data/train.jsonl': '{"text":"a"}\n', 'data/large.parquet': randomBytes(70_000) });
  const file = await bring('hf://datasets/owner/rows/data/train.jsonl', 'data');
  expect(readFileSync(file, 'utf8')).toBe('{"text":"a"}\n');
  expect(readlinkSync(file)).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\//);
  expect(file).toContain('datasets--owner--rows/snapshots');
  expect(lstatSync(await bring('hf://datasets/owner/rows@main/data/large.parquet', 'data')).isSymbolicLink()).toBe(
    true,
  );
  hub.put('models/owner/lora', { 'adapter_config.json': '{}', 'adapter_model.safetensors': 'x', 'optimizer.bin': 'y' });
  expect(readdirSync(await bring('owner/lora', 'adapter')).sort()).toEqual([
    'adapter_config.json',
    'adapter_model.safetensors',
  ]);
});

describe('what is cut', () => {
  test('goes on where it was: only the rest is asked for', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push(
      { match: /\/lfs\//, times: 1, cutAfter: 100_000 },
      { match: /\/lfs\//, times: 1, cutAfter: 50_000 },
    );
    const folder = await bring('owner/base');
    expect(readFileSync(path.join(folder, 'model.safetensors')).equals(model['model-1.safetensors'])).toBe(true);
    const ranges = hub.requests.filter(({ host }) => host === 'files').map(({ range }) => range);
    // What had come when the line was cut, all of it or nearly.
    expect(ranges).toEqual([
      undefined,
      expect.stringMatching(/^bytes=\d{5,6}-$/),
      expect.stringMatching(/^bytes=1\d{5}-$/),
    ]);
  });

  test('goes on in another process, from what is there', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push({ match: /\/lfs\//, times: 1, cutAfter: 100_000 }, { match: /\/lfs\//, times: 6, cutAfter: 0 });
    await expect(bring('owner/base')).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/kept/),
    });
    const blobs = cacheOf('models--owner--base/blobs');
    expect(readdirSync(blobs).filter((name) => name.endsWith('.incomplete'))).toHaveLength(1);
    expect(existsSync(cacheOf('models--owner--base/snapshots', hub.read('models/owner/base')!.size.toString()))).toBe(
      false,
    );
    hub.faults.length = hub.requests.length = 0;
    await bring('owner/base');
    expect(hub.requests.find(({ host }) => host === 'files')!.range).toMatch(/^bytes=\d{5,6}-$/);
    expect(readdirSync(blobs).some((name) => name.endsWith('.incomplete'))).toBe(false);
  });

  test('and a server that gives all of it again', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push(
      { match: /\/lfs\//, times: 1, cutAfter: 100_000 },
      { match: /\/lfs\//, times: 1, ignoreRange: true },
    );
    const folder = await bring('owner/base');
    expect(readFileSync(path.join(folder, 'model.safetensors')).equals(model['model-1.safetensors'])).toBe(true);
  });

  test('by Ctrl-C is kept too', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push({ match: /\/lfs\//, delay: 20 });
    const controller = new AbortController();
    const stopped = bring('owner/base', 'base', controller.signal);
    const watching = setInterval(() => {
      if ((progress.at(-1)?.bytes ?? 0) > 100_000) controller.abort(new Error('stopped by a test'));
    }, 5);
    await expect(stopped).rejects.toThrow('stopped by a test');
    clearInterval(watching);
    hub.faults.length = hub.requests.length = 0;
    await bring('owner/base');
    expect(hub.requests.find(({ host }) => host === 'files')!.range).toMatch(/^bytes=\d{6}-$/);
  });

  test('an incomplete file of a process that is there is left to it', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': 'whole' });
    const blobs = cacheOf('models--owner--base/blobs');
    mkdirSync(blobs, { recursive: true });
    const hash = createHash('sha256').update('whole').digest('hex');
    const other = path.join(blobs, `${hash}.${process.ppid}-00000000.incomplete`);
    writeFileSync(other, 'wh');
    await bring('owner/base');
    expect(readFileSync(other, 'utf8')).toBe('wh');
    expect(hub.requests.find(({ host }) => host === 'files')!.range).toBeUndefined();
  });
});

describe('servers in trouble', () => {
  test.each([500, 502, 503, 504, 429])('%d is tried again', async (status) => {
    hub.put('models/owner/base', model);
    for (const match of [/\/api\/models/, /\/tree\//, /\/resolve\/.*config/, /\/lfs\//])
      hub.faults.push({ match, times: 2, status });
    await bring('owner/base');
    expect(hub.faults.every(({ times }) => times === 0)).toBe(true);
  });

  test('Retry-After is waited for', async () => {
    hub.put('models/owner/base', model);
    hub.faults.push({ match: /\/revision\//, times: 1, status: 429, headers: { 'retry-after': '1' } });
    const begun = performance.now();
    await bring('owner/base');
    expect(performance.now() - begun).toBeGreaterThan(950);
  });

  test('that stay so are told, and a branch that is known is taken as it was', async () => {
    hub.put('models/owner/base', model);
    hub.faults.push({ match: /\/api\//, status: 503, body: 'tired' });
    await expect(bring('owner/base')).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/answered 503.*try again later/),
    });
    hub.faults.length = 0;
    const folder = await bring('owner/base');
    hub.faults.push({ match: /\/api\//, cutAfter: 0 });
    expect(await bring('owner/base')).toBe(folder);
    expect(warnings.join()).toMatch(
      /^the Hub did not give main of owner\/base, so commit [0-9a-f]{40} is used as it is in the cache .*cannot be reached/,
    );
  });

  test('a server that is no Hub is told from one', async () => {
    hub.faults.push({ match: /./, status: 200, body: '<html>' });
    await expect(bring('owner/base')).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringMatching(/HF_ENDPOINT/),
    });
  });
});

describe('wrong bytes', () => {
  test.each([
    ['model.safetensors', /\/lfs\//],
    ['config.json', /resolve.*config/],
  ])('of %s are removed and said', async (name, match) => {
    hub.put('models/owner/base', { 'config.json': '{"a": 1}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push({ match, times: 1, corrupt: true });
    await expect(bring('owner/base')).rejects.toMatchObject({
      code: 'CONTENT_DAMAGED',
      message: expect.stringMatching(
        new RegExp(`${name} of owner/base came with other content .* was removed; give the same command again`),
      ),
    });
    expect(filesBelow(home).some((file) => file.endsWith('.incomplete'))).toBe(false);
    await bring('owner/base');
  });

  test('left by an earlier process are found out', async () => {
    hub.put('models/owner/base', { 'config.json': '{}', 'model.safetensors': model['model-1.safetensors'] });
    hub.faults.push({ match: /\/lfs\//, times: 1, cutAfter: 100_000 }, { match: /\/lfs\//, times: 6, cutAfter: 0 });
    await expect(bring('owner/base')).rejects.toThrow();
    const left = filesBelow(home).find((file) => file.endsWith('.incomplete'))!;
    writeFileSync(left, randomBytes(100_000));
    hub.faults.length = 0;
    await expect(bring('owner/base')).rejects.toMatchObject({ code: 'CONTENT_DAMAGED' });
    await bring('owner/base');
  });

  test('paths that lead out of the cache are refused', async () => {
    hub.put('models/owner/base', { 'config.json': '{}' });
    const tree = [
      { type: 'file', path: 'LICENSE/../../../../../evil', size: 1, oid: 'a'.repeat(40) },
      { type: 'file', path: 'LICENSE\\..\\evil', size: 1, oid: 'a'.repeat(40) },
    ];
    hub.faults.push({
      match: /\/tree\//,
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(tree),
    });
    await expect(bring('owner/base')).rejects.toMatchObject({ code: 'NAME_INVALID' });
  });
});

describe('who may', () => {
  test('a private repository, by HF_TOKEN or the token file; the token stays with the Hub', async () => {
    hub.put('models/me/private', model, { isPrivate: true });
    await expect(bring('me/private')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(
        /no model me\/private on http.*, or it is private.*HF_TOKEN.*There is no folder me\/private either/,
      ),
    });
    vi.stubEnv('HF_TOKEN', hub.token);
    const folder = await bring('me/private');
    const asked = hub.requests.filter(({ authorization }) => authorization === `Bearer ${hub.token}`);
    expect(asked.length).toBeGreaterThan(wanted.length);
    expect(hub.requests.filter(({ host }) => host === 'files')).toHaveLength(2);
    vi.stubEnv('HF_TOKEN', undefined);
    writeFileSync(path.join(home, 'token'), `${hub.token}\n`);
    rmSync(cacheOf('models--me--private'), { recursive: true });
    expect(await bring('me/private')).toBe(folder);
  });

  test('a gated one says where to ask', async () => {
    hub.put('models/owner/gated', model, { isGated: true });
    await expect(bring('owner/gated')).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringMatching(
        /model owner\/gated is gated: ask for access on http:\S+\/owner\/gated, then make a token .* HF_TOKEN/,
      ),
    });
  });

  test('a token that is not valid is told so, and never shown', async () => {
    hub.put('models/owner/base', model);
    vi.stubEnv('HF_TOKEN', 'hf_another');
    await expect(bring('owner/base')).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringMatching(/token in use .* is not valid/),
    });
    hub.faults.push({ match: /./, status: 400, headers: { 'x-error-message': 'what is hf_another?' } });
    await expect(bring('owner/base')).rejects.toMatchObject({ message: expect.stringMatching(/what is \*\*\*\?/) });
  });
});

test.each([
  ['owner/base@v9', 'base', 'NOT_FOUND', /model owner\/base has no such revision/],
  ['owner/none', 'base', 'NOT_FOUND', /no model owner\/none on .*There is no folder owner\/none either/],
  [
    'hf://datasets/owner/rows/none.jsonl',
    'data',
    'NOT_FOUND',
    /owner\/rows has no file none.jsonl at [0-9a-f]{40}; its files are on/,
  ],
  ['hf://datasets/owner/rows', 'data', 'NAME_INVALID', /names a repository, and no file/],
  ['hf://datasets/owner', 'data', 'NAME_INVALID', /is no name of the Hub's; expected owner\/name/],
  ['hf://owner/rows/a.txt', 'base', 'NAME_INVALID', /does not name a model's repository/],
  ['owner/empty', 'base', 'NOT_FOUND', /has none of the files of a model/],
] as const)('%s is said to be wrong', async (name, role, code, message) => {
  hub.put('models/owner/base', model);
  hub.put('models/owner/empty', { 'other.txt': 'x' });
  hub.put('datasets/owner/rows', { 'a.jsonl': '{}' });
  await expect(bring(name, role)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

describe('offline', () => {
  test('what is in the cache is enough, and the rest is said', async () => {
    hub.put('models/owner/base', model);
    const folder = await bring('owner/base');
    hub.requests.length = 0;
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await bring('owner/base')).toBe(folder);
    await expect(bring('owner/other')).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringMatching(/never downloaded/),
    });
    rmSync(path.join(folder, 'model-2.safetensors'));
    rmSync(
      cacheOf('models--owner--base/blobs', createHash('sha256').update(model['model-2.safetensors']).digest('hex')),
    );
    await expect(bring('owner/base')).rejects.toMatchObject({ code: 'OFFLINE' });
    // As an older huggingface_hub leaves it: without the listing.
    rmSync(cacheOf('models--owner--base/trees'), { recursive: true });
    await expect(bring('owner/base')).rejects.toMatchObject({ code: 'OFFLINE' });
    writeFileSync(path.join(folder, 'model-2.safetensors'), 'x');
    expect(await bring('owner/base')).toBe(folder);
    expect(hub.requests).toEqual([]);
  });
});

test('a cache that cannot be written is said', async () => {
  hub.put('models/owner/base', model);
  writeFileSync(path.join(home, 'file'), '');
  vi.stubEnv('HF_HUB_CACHE', path.join(home, 'file/cache'));
  await expect(bring('owner/base')).rejects.toMatchObject({
    code: 'CACHE_UNWRITABLE',
    message: expect.stringMatching(/HF_HOME or HF_HUB_CACHE/),
  });
});

test('more than the disk has is refused before anything is downloaded', async () => {
  hub.put('models/owner/base', { 'config.json': '{}' });
  const tree = [
    {
      type: 'file',
      path: 'model.safetensors',
      size: 1e18,
      oid: 'a'.repeat(40),
      lfs: { oid: 'b'.repeat(64), size: 1e18, pointerSize: 1 },
    },
  ];
  hub.faults.push({
    match: /\/tree\//,
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(tree),
  });
  await expect(bring('owner/base')).rejects.toMatchObject({
    code: 'CACHE_UNWRITABLE',
    message: expect.stringMatching(/1000000000.00 GB have to be downloaded/),
  });
  expect(hub.requests.some(({ path: asked }) => asked.includes('resolve'))).toBe(false);
});
