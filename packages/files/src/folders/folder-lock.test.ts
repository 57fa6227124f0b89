import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lockFolder } from './folder-lock.js';

/** A number that no process has on Linux, whose largest is 2^22. */
const nobody = 2 ** 22 + 1;
const host = hostname();
const busy = (owner: string): Error => new Error(`${owner} has it`);
const folderWith = (content?: string): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-lock-'));
  if (content !== undefined) writeFileSync(path.join(folder, 'lock.1'), content);
  return folder;
};

const free: Record<string, string | undefined> = {
  nothing: undefined,
  'the lock of a process that was killed': JSON.stringify({ pid: nobody, host }),
  'the lock of a process whose number another has now': JSON.stringify({ pid: process.pid, host, started: '1' }),
  'one that was killed before it had written its name': '',
  'one that was killed while it wrote its name': '{"pid":',
  'one that was released': 'null',
};

test.each(Object.entries(free))('of many at once one gets the folder, with %s before', async (_, content) => {
  const folder = folderWith(content);
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder, busy)));
  const taken = attempts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const refused = attempts.flatMap((each) => (each.status === 'rejected' ? [each.reason as object] : []));
  expect(taken).toHaveLength(1);
  for (const reason of refused) expect(reason).toMatchObject({ message: `process ${process.pid} has it` });
  expect(readdirSync(folder)).toHaveLength(1);
  await taken[0]!.release();
  await expect(lockFolder(folder, busy)).resolves.toBeDefined();
});

test('another machine has the folder as long as it renews its lock', async () => {
  const folder = folderWith(JSON.stringify({ pid: 1, host: 'elsewhere' }));
  await expect(lockFolder(folder, busy)).rejects.toThrow('process 1 on elsewhere has it');
  const earlier = Date.now() / 1000 - 3600;
  utimesSync(path.join(folder, 'lock.1'), earlier, earlier);
  const lock = await lockFolder(folder, busy);
  expect(JSON.parse(readFileSync(path.join(folder, 'lock.2'), 'utf8'))).toMatchObject({ pid: process.pid, host });
  await lock.release();
});

test('a folder that was removed in the meantime has nothing to release', async () => {
  const folder = folderWith();
  const lock = await lockFolder(folder, busy);
  rmSync(folder, { recursive: true });
  await expect(lock.release()).resolves.toBeUndefined();
});

const foreign: Record<string, (file: string) => void> = {
  'a file of another program': (file) => writeFileSync(file, 'held by make'),
  'a large file': (file) => writeFileSync(file, `{"pid":${' '.repeat(2000)}1}`),
  'a folder': (file) => mkdirSync(file),
  'a named pipe': (file) => execFileSync('mkfifo', [file]),
};

test.each(Object.entries(foreign))('%s with the name of a lock is an error, and stays', async (_, make) => {
  const folder = folderWith();
  make(path.join(folder, 'lock.1'));
  await expect(lockFolder(folder, busy)).rejects.toThrow(/lock|named pipe|folder|bytes/);
  expect(readdirSync(folder)).toEqual(['lock.1']);
});

test('files whose names only look like locks, or that are none, stay', async () => {
  const folder = folderWith('mine');
  for (const name of ['lock.json', 'lock.', 'lock.01', 'lock.1e3']) writeFileSync(path.join(folder, name), 'mine');
  writeFileSync(path.join(folder, 'lock.2'), 'null');
  const lock = await lockFolder(folder, busy);
  expect(readdirSync(folder).sort()).toEqual(['lock.', 'lock.01', 'lock.1', 'lock.1e3', 'lock.3', 'lock.json']);
  await lock.release();
});

test('a number without a successor is no lock', async () => {
  const folder = folderWith();
  writeFileSync(path.join(folder, 'lock.9007199254740993'), 'null');
  await expect(lockFolder(folder, busy)).rejects.toThrow("is no lock of Glulam's");
});
