import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startHub, type HubServer } from '../../../test/support/hub-server.js';
import { pushFiles } from './push-files.js';

let hub: HubServer;
let folder: string;
let told: [number, number][];

beforeEach(async () => {
  hub = await startHub();
  told = [];
  folder = mkdtempSync(path.join(tmpdir(), 'glulam-push-'));
  for (const name of ['HF_HUB_OFFLINE', 'HF_TOKEN_PATH', 'TRANSFORMERS_OFFLINE', 'HF_HUB_DISABLE_XET'])
    vi.stubEnv(name, undefined);
  vi.stubEnv('HF_HOME', folder);
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_TOKEN', hub.token);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  // Presigned addresses of another host: the token is not for it.
  for (const { host, authorization } of hub.requests) if (host === 'files') expect(authorization).toBeUndefined();
  await hub.close();
  rmSync(folder, { recursive: true });
});

const content = {
  'README.md': '# a card',
  'adapter_config.json': '{}',
  'adapter_model.safetensors': randomBytes(100_000),
};

async function push(to: string, files: Record<string, string | Buffer> = content, isPrivate = false) {
  const places = Object.entries(files).map(([name, text]): [string, string] => {
    writeFileSync(path.join(folder, name), text);
    return [name, path.join(folder, name)];
  });
  const onProgress = (bytes: number, total: number): void => void told.push([bytes, total]);
  const signal = new AbortController().signal;
  try {
    return await pushFiles(
      { to, files: new Map(places), isPrivate, title: 'A title', signal, onProgress },
      { firstDelay: 1 },
    );
  } catch (error) {
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      expect(`${each.message} ${each.stack} ${JSON.stringify(each)}`).not.toContain(hub.token);
    throw error;
  }
}

test('a repository that is not there is made, and gets one commit', async () => {
  const pushed = await push('me/new', content, true);
  expect(pushed).toMatchObject({
    repository: 'me/new',
    created: true,
    commit: expect.stringMatching(/^[0-9a-f]{40}$/),
  });
  expect(hub.commits).toEqual([{ repository: 'models/me/new', summary: 'A title', paths: Object.keys(content) }]);
  for (const [name, text] of Object.entries(content))
    expect(hub.read('models/me/new')!.get(name)!.equals(Buffer.from(text)), name).toBe(true);
  expect(told.at(-1)![0]).toBe(100_000);
  // Private: a stranger does not see it.
  const stranger = await fetch(`${hub.endpoint}/api/models/me/new/revision/main`);
  expect(stranger.status).toBe(401);
});

test('one that is there keeps its other files, and what it has already is not sent again', async () => {
  hub.put('models/me/old', { 'other.txt': 'kept', 'large.bin': content['adapter_model.safetensors'] });
  expect((await push('me/old')).created).toBe(false);
  expect([...hub.read('models/me/old')!.keys()].sort()).toEqual(
    ['large.bin', 'other.txt', ...Object.keys(content)].sort(),
  );
  expect(hub.requests.some(({ host, method }) => host === 'files' && method === 'PUT')).toBe(false);
});

test('a branch', async () => {
  hub.put('models/me/old', { 'a.txt': 'a' });
  await push('me/old@v2');
  expect(hub.read('models/me/old', 'v2')!.has('README.md')).toBe(true);
  expect(hub.read('models/me/old')!.has('README.md')).toBe(false);
});

test('servers in trouble are asked again; a commit only where the server says that it made none', async () => {
  for (const match of [/preupload/, /lfs\/objects/, /\/upload\//, /\/commit\//])
    hub.faults.push({ match, times: 2, status: 503 });
  await push('me/new');
  expect(hub.commits).toHaveLength(1);
  hub.faults.push({ match: /\/upload\//, times: 1, cutAfter: 0 });
  await push('me/new', { ...content, 'b.safetensors': randomBytes(50_000) });
  hub.faults.push({ match: /\/commit\//, times: 1, cutAfter: 0 });
  await expect(push('me/new')).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringMatching(/may have been made or not/),
  });
  expect(hub.commits).toHaveLength(2);
});

test('what fails on the way leaves the repository as it was', async () => {
  hub.put('models/me/old', { 'a.txt': 'a' });
  hub.faults.push({ match: /\/upload\//, status: 403, body: 'signature expired' });
  await expect(push('me/old')).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringMatching(/where large files are kept/),
  });
  expect([...hub.read('models/me/old')!.keys()]).toEqual(['a.txt']);
  expect(hub.commits).toEqual([]);
});

test('who may not is told', async () => {
  await expect(push('others/model')).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    message: expect.stringMatching(/no rights in others/),
  });
  await expect(push('me')).rejects.toMatchObject({ code: 'NAME_INVALID' });
  vi.stubEnv('HF_TOKEN', undefined);
  await expect(push('me/new')).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    message: expect.stringMatching(/HF_TOKEN/),
  });
});
