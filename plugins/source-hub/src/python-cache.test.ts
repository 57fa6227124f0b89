import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { InputRole } from '@glulam/trainer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startHub, type HubServer } from '../../../test/support/hub-server.js';
import { openHubSource } from './hub-source.js';

// Caches as transformers and huggingface_hub leave them: blobs, snapshots, refs and .no_exist, but no listing.
const files = {
  'config.json': '{"model_type":"mistral"}',
  'tokenizer.json': '{"a":1}',
  'tokenizer_config.json': '{}',
  'model.safetensors': 'weights',
};
const shards = {
  'model.safetensors.index.json': JSON.stringify({
    weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' },
  }),
  'model-1.safetensors': 'first',
  'model-2.safetensors': 'second',
};
const { 'model.safetensors': _, ...withoutWeights } = files;
const sharded = { ...withoutWeights, ...shards };
const A = 'a1b2c3d4e5f60718293a4b5c6d7e8f9001122334';
const B = 'b1b2c3d4e5f60718293a4b5c6d7e8f9001122334';

interface PythonCache {
  readonly commit?: string;
  readonly refs?: readonly string[];
  /** Windows without the right to make links. */
  readonly plain?: boolean;
  /** Links whose blob is gone. */
  readonly broken?: readonly string[];
  readonly absent?: readonly string[];
  readonly repository?: string;
}

let home: string;
let hub: HubServer;
let warnings: string[];

const cacheOf = (...parts: string[]): string => path.join(home, 'hub', ...parts);
const repositoryOf = (name = 'acme/tiny', type = 'models'): string => cacheOf(`${type}--${name.replace('/', '--')}`);

function fill(
  content: Readonly<Record<string, string>>,
  {
    commit = A,
    refs = ['main'],
    plain = false,
    broken = [],
    absent = [],
    repository = repositoryOf(),
  }: PythonCache = {},
): string {
  const snapshot = path.join(repository, 'snapshots', commit);
  for (const folder of ['blobs', 'refs', `.no_exist/${commit}`, `snapshots/${commit}`])
    mkdirSync(path.join(repository, folder), { recursive: true });
  for (const [name, text] of Object.entries(content)) {
    const at = path.join(snapshot, name);
    mkdirSync(path.dirname(at), { recursive: true });
    if (plain) {
      writeFileSync(at, text);
      continue;
    }
    const blob = path.join(repository, 'blobs', Buffer.from(`${commit}${name}`).toString('hex').slice(-40));
    if (!broken.includes(name)) writeFileSync(blob, text);
    symlinkSync(path.relative(path.dirname(at), blob), at);
  }
  for (const name of absent) writeFileSync(path.join(repository, '.no_exist', commit, name), '');
  for (const ref of refs) {
    mkdirSync(path.dirname(path.join(repository, 'refs', ref)), { recursive: true });
    writeFileSync(path.join(repository, 'refs', ref), commit);
  }
  return snapshot;
}

const open = () =>
  openHubSource(
    { signal: new AbortController().signal, onProgress: () => {}, warn: (message) => warnings.push(message) },
    { firstDelay: 1 },
  );
async function bring(name: string, role: InputRole = 'base'): Promise<string> {
  const source = open();
  return source.fetch(await source.pin(name, role), role);
}
const failure = async (name: string, role?: InputRole): Promise<{ code: string; message: string }> =>
  bring(name, role).then(
    (folder) => Promise.reject(new Error(`${folder} was given`)),
    (error: Error & { code: string }) => ({ code: error.code, message: error.message }),
  );
/** All that lies in the cache, links as they are. */
const everything = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(cacheOf(), { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [file, existsSync(file) ? readFileSync(file, 'utf8') : 'broken']),
  );

beforeEach(async () => {
  hub = await startHub();
  home = mkdtempSync(path.join(tmpdir(), 'glulam-python-'));
  warnings = [];
  for (const name of [
    'HF_TOKEN',
    'HF_HUB_CACHE',
    'HUGGING_FACE_HUB_TOKEN',
    'HF_TOKEN_PATH',
    'TRANSFORMERS_OFFLINE',
    'HUGGINGFACE_HUB_CACHE',
    'XDG_CACHE_HOME',
    'HF_HUB_ETAG_TIMEOUT',
    'HF_HUB_OFFLINE',
  ])
    vi.stubEnv(name, undefined);
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(home, { recursive: true });
});

describe('offline', () => {
  beforeEach(() => vi.stubEnv('HF_HUB_OFFLINE', '1'));
  afterEach(() => {
    expect(hub.requests).toEqual([]);
  });

  test.each<[string, string, PythonCache]>([
    ['the default branch', 'acme/tiny', {}],
    ['a commit', `acme/tiny@${A}`, { refs: [] }],
    ['a short hash', 'acme/tiny@a1b2c3d', { refs: [] }],
    ['a pull request', 'acme/tiny@refs/pr/1', { refs: ['refs/pr/1'] }],
    ['a branch with a slash', 'acme/tiny@feature/long', { refs: ['feature/long'] }],
    ['plain files in place of links', 'acme/tiny', { plain: true }],
  ])('%s', async (_, name, cache) => {
    const folder = fill(files, cache);
    const before = everything();
    expect(await bring(name)).toBe(folder);
    expect(warnings).toEqual([]);
    expect(everything()).toEqual(before);
  });

  test('a ref that an editor ended with a new line', async () => {
    const folder = fill(files);
    writeFileSync(path.join(repositoryOf(), 'refs/main'), `${A}\n`);
    expect(await bring('acme/tiny')).toBe(folder);
  });

  test('shards, an adapter, a data file', async () => {
    const folder = fill(sharded, { absent: ['model.safetensors'] });
    expect(await bring('acme/tiny')).toBe(folder);
    const lora = fill(
      { 'adapter_config.json': '{}', 'adapter_model.safetensors': 'x' },
      { repository: repositoryOf('acme/lora') },
    );
    expect(await bring('acme/lora', 'adapter')).toBe(lora);
    const rows = fill({ 'data/train.jsonl': '{}' }, { repository: repositoryOf('acme/rows', 'datasets') });
    expect(await bring('hf://datasets/acme/rows/data/train.jsonl', 'data')).toBe(path.join(rows, 'data/train.jsonl'));
    const missing = await failure('hf://datasets/acme/rows/test.jsonl', 'data');
    expect(missing.message).toMatch(
      /^test.jsonl of acme\/rows at commit a1b2\S+ is not in the cache .*hf download --repo-type dataset acme\/rows test.jsonl/,
    );
  });

  test.each<[string, Record<string, string>, PythonCache, RegExp]>([
    [
      'a shard',
      (({ 'model-2.safetensors': _, ...rest }) => rest)(sharded),
      {},
      /^model-2.safetensors of acme\/tiny at commit a1b2\S+ is not in the cache \S+\. .*hf download acme\/tiny model-2.safetensors --revision a1b2/,
    ],
    ['the weights', withoutWeights, {}, /^model.safetensors of acme\/tiny .* is not in the cache/],
    ['the index', withoutWeights, { absent: ['model.safetensors'] }, /^model.safetensors.index.json of /],
    ['the tokenizer', { 'config.json': '{}', 'model.safetensors': 'x' }, {}, /^tokenizer.json of /],
    [
      'the blob of the weights',
      files,
      { broken: ['model.safetensors'] },
      /^model.safetensors of .*\(model.safetensors: a link whose blob is gone\)/,
    ],
    [
      'the blob of a shard',
      sharded,
      { broken: ['model-1.safetensors'] },
      /^model-1.safetensors of .*a link whose blob is gone/,
    ],
    [
      'the blob of what changes results',
      { ...files, 'generation_config.json': '{}' },
      { broken: ['generation_config.json'] },
      /^generation_config.json of /,
    ],
    [
      'everything but the config',
      { 'config.json': '{}' },
      {},
      /^tokenizer.json, model.safetensors of .* are not in the cache/,
    ],
  ])('without %s the file is named, and how to get it', async (_, content, cache, message) => {
    fill(content, cache);
    expect(await failure('acme/tiny')).toEqual({ code: 'OFFLINE', message: expect.stringMatching(message) });
  });

  test('the config alone is enough for a plan', async () => {
    const folder = fill({ 'config.json': '{}' });
    expect(await bring('acme/tiny', 'base without weights')).toBe(folder);
  });

  test('a ref of a commit that was never downloaded: no other commit is taken, but those that are whole are named', async () => {
    fill(files, { refs: [] });
    writeFileSync(path.join(repositoryOf(), 'refs/main'), B);
    expect((await failure('acme/tiny')).message).toMatch(
      new RegExp(`at commit ${B} are not in the cache .* The cache has it at acme/tiny@${A}\\.`),
    );
  });

  test('of several commits the one of the ref is taken', async () => {
    fill({ 'config.json': '{}' }, { refs: ['old'] });
    const folder = fill(files, { commit: B });
    expect(await bring('acme/tiny')).toBe(folder);
    expect((await failure('acme/tiny@old')).message).toContain(`The cache has it at acme/tiny@${B}.`);
  });

  test('without the ref the commits are named', async () => {
    fill(files, { refs: [] });
    const { code, message } = await failure('acme/tiny');
    expect([code, message]).toEqual(['OFFLINE', expect.stringContaining(`the cache has acme/tiny@${A}`)]);
  });

  test('a short hash of two commits is refused', async () => {
    fill(files, { refs: [] });
    fill(files, { refs: [], commit: `${A.slice(0, 10)}${B.slice(10, -1)}5` });
    expect(await failure('acme/tiny@a1b2c3d')).toMatchObject({
      code: 'NAME_INVALID',
      message: expect.stringContaining(A),
    });
  });

  test('files that are known to exist and are not here are reported', async () => {
    const folder = fill(files);
    const listed = [...Object.keys(files), 'generation_config.json', 'README.md', 'pytorch_model.bin'];
    mkdirSync(path.join(repositoryOf(), 'trees'));
    writeFileSync(
      path.join(repositoryOf(), 'trees', `${A}.json`),
      JSON.stringify({
        format_version: 1,
        files: Object.fromEntries(listed.map((name) => [name, { size: 1, blob_id: 'f'.repeat(40) }])),
      }),
    );
    expect(await bring('acme/tiny')).toBe(folder);
    expect(warnings).toEqual([expect.stringMatching(/^acme\/tiny@a1b2\S+ is used without generation_config.json: /)]);
  });

  test('a tokenizer_config.json that Python never asked for is reported, one that it did not find is not', async () => {
    const { 'tokenizer_config.json': _, ...rest } = files;
    fill(rest);
    await bring('acme/tiny');
    expect(warnings).toEqual([expect.stringMatching(/is used without tokenizer_config.json/)]);
    fill({}, { absent: ['tokenizer_config.json'] });
    warnings = [];
    await bring('acme/tiny');
    expect(warnings).toEqual([]);
  });

  test('what is under way in another process is left alone', async () => {
    fill(files, { refs: [] });
    const others = [
      `models--acme--tiny/blobs/${'a'.repeat(64)}.incomplete`,
      `models--acme--tiny/blobs/${'a'.repeat(64)}.01234567.incomplete`,
      `.locks/models--acme--tiny/${'a'.repeat(64)}.lock`,
    ];
    for (const name of others) {
      mkdirSync(path.dirname(cacheOf(name)), { recursive: true });
      writeFileSync(cacheOf(name), 'part');
    }
    const before = everything();
    await bring(`acme/tiny@${A}`);
    await failure('acme/tiny');
    expect(everything()).toEqual(before);
  });

  test.each<[string, string, Record<string, string | undefined>]>([
    ['HF_HOME', 'hub', {}],
    ['HF_HOME with a variable in it', 'hub', { HF_HOME: '${GLULAM_TEST_HOME}' }],
    ['HF_HUB_CACHE', 'elsewhere', { HF_HUB_CACHE: '$GLULAM_TEST_HOME/elsewhere' }],
    ['HUGGINGFACE_HUB_CACHE', 'elsewhere', { HUGGINGFACE_HUB_CACHE: '$GLULAM_TEST_HOME/elsewhere' }],
    ['XDG_CACHE_HOME', 'huggingface/hub', { HF_HOME: undefined, XDG_CACHE_HOME: '$GLULAM_TEST_HOME' }],
  ])('the cache is found by %s', async (_, folder, variables) => {
    vi.stubEnv('GLULAM_TEST_HOME', home);
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const snapshot = fill(files, { repository: path.join(home, folder, 'models--acme--tiny') });
    expect(await bring('acme/tiny')).toBe(snapshot);
  });
});

describe('where the Hub does not answer', () => {
  const warning = (revision: string): unknown =>
    expect.stringMatching(
      new RegExp(`^the Hub did not give ${revision}acme/tiny, so commit ${A} is used as it is in the cache`),
    );

  test('a branch is taken from the cache at once, with a warning', async () => {
    hub.faults.push({ match: /./, cutAfter: 0 });
    const folder = fill(files);
    expect(await bring('acme/tiny')).toBe(folder);
    expect(warnings).toEqual([warning('main of ')]);
    expect(hub.requests).toHaveLength(1);
  });

  test('a commit too', async () => {
    hub.faults.push({ match: /./, cutAfter: 0 });
    const folder = fill(files, { refs: [] });
    expect(await bring(`acme/tiny@${A}`)).toBe(folder);
    expect(warnings).toEqual([warning('')]);
  });

  test('a server that is silent is waited for as long as huggingface_hub waits', async () => {
    vi.stubEnv('HF_HUB_ETAG_TIMEOUT', '1');
    hub.put('models/acme/tiny', files);
    hub.silent = true;
    const folder = fill(files);
    const start = Date.now();
    expect(await bring('acme/tiny')).toBe(folder);
    expect(Date.now() - start).toBeLessThan(5000);
    expect(warnings).toEqual([expect.stringContaining('no answer in 1 s')]);
  });

  test('what is not there names the file and the reason', async () => {
    hub.faults.push({ match: /./, cutAfter: 0 });
    fill(withoutWeights);
    expect(await failure('acme/tiny')).toEqual({
      code: 'UNREACHABLE',
      message: expect.stringMatching(
        /^http:\S+ cannot be reached .*; model.safetensors of acme\/tiny at commit .* is not in the cache /,
      ),
    });
  });

  test.each([
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['429', { status: 429 }],
    ['403', { status: 403 }],
    ['a page of the network that wants a password', { status: 200, body: '<html>' }],
    ['401, gated', { status: 401, headers: { 'x-error-code': 'GatedRepo' } }],
    ['401, private or gone', { status: 401, headers: { 'x-error-code': 'RepoNotFound' } }],
    ['404, gone', { status: 404, headers: { 'x-error-code': 'RepoNotFound' } }],
  ])('%s: the cache is used, and never silently', async (_, fault) => {
    hub.faults.push({ match: /./, ...fault });
    const folder = fill(files);
    expect(await bring('acme/tiny')).toBe(folder);
    expect(warnings[0]).toEqual(warning('main of '));
  });

  test('a revision that the Hub no longer has is an error', async () => {
    hub.put('models/acme/tiny', files);
    fill(files, { refs: ['v1'] });
    expect(await failure('acme/tiny@v1')).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('no such revision'),
    });
  });

  test('a commit that the Hub no longer has is in the cache', async () => {
    hub.put('models/acme/tiny', files);
    const folder = fill(files);
    expect(await bring(`acme/tiny@${A}`)).toBe(folder);
    expect(warnings).toEqual([expect.stringContaining('no such revision')]);
  });
});

test('where the Hub answers, what Python did not download is downloaded, and only that', async () => {
  const whole = { ...files, 'generation_config.json': '{}' };
  const commit = hub.put('models/acme/tiny', whole);
  const folder = fill(withoutWeights, { commit });
  expect(await bring('acme/tiny')).toBe(folder);
  expect(readdirSync(folder).sort()).toEqual(Object.keys(whole).sort());
  const downloads = hub.requests.flatMap(({ path: asked }) => /resolve\/[0-9a-f]+\/(.+)/.exec(asked)?.[1] ?? []);
  expect(downloads.sort()).toEqual(['generation_config.json', 'model.safetensors']);
  expect(warnings).toEqual([]);
});

test('a broken link is mended where the Hub answers', async () => {
  const commit = hub.put('models/acme/tiny', files);
  const folder = fill(files, { commit, broken: ['model.safetensors'] });
  await bring('acme/tiny');
  expect(readFileSync(path.join(folder, 'model.safetensors'), 'utf8')).toBe('weights');
});

test('a cache where neither refs nor listings can be written serves what it has', async () => {
  const commit = hub.put('models/acme/tiny', files);
  const folder = fill(files, { commit, refs: [] });
  rmSync(path.join(repositoryOf(), 'refs'), { recursive: true });
  for (const name of ['refs', 'trees']) writeFileSync(path.join(repositoryOf(), name), '');
  expect(await bring('acme/tiny')).toBe(folder);
});

describe('a name that stands alone', () => {
  const roleOf = async (name: string) => {
    const source = open();
    return source.roleOf!(await source.pin(name, 'base'));
  };

  test('is of a base or of an adapter, as the cache has it', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    fill(files);
    fill({ 'adapter_config.json': '{}' }, { repository: repositoryOf('acme/lora') });
    expect([await roleOf('acme/tiny'), await roleOf('acme/lora')]).toEqual(['base', 'adapter']);
  });

  test('or as the Hub lists it', async () => {
    hub.put('models/acme/tiny', files);
    hub.put('models/acme/lora', { 'adapter_config.json': '{}', 'config.json': '{}' });
    expect([await roleOf('acme/tiny'), await roleOf('acme/lora')]).toEqual(['base', 'adapter']);
  });
});
