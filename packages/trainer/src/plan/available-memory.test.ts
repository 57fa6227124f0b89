import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { freemem, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { availableMemory } from './available-memory.js';

/** A root folder with these files. */
function rootOf(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'glulam-root-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}
const gigabyte = 2 ** 30;
const kilobytes = (bytes: number): number => bytes / 1024;
const meminfo = `MemTotal:       ${kilobytes(32 * gigabyte)} kB\nMemFree:  5 kB\nMemAvailable:   ${kilobytes(20 * gigabyte)} kB\n`;

test('without limits: what the machine has available', () => {
  const root = rootOf({ 'proc/meminfo': meminfo, 'proc/self/cgroup': '0::/\n' });
  expect(availableMemory(root)).toEqual({ available: 20 * gigabyte, total: 32 * gigabyte, limit: undefined });
});

test('cgroup v2: the tightest of all groups above, page cache not counted', () => {
  const root = rootOf({
    'proc/meminfo': meminfo,
    'proc/self/cgroup': '0::/pod/job\n',
    'sys/fs/cgroup/pod/memory.max': `${8 * gigabyte}\n`,
    'sys/fs/cgroup/pod/memory.current': `${7 * gigabyte}\n`,
    'sys/fs/cgroup/pod/memory.stat': `anon 1\nactive_file ${gigabyte}\ninactive_file ${3 * gigabyte}\n`,
    'sys/fs/cgroup/pod/job/memory.max': 'max\n',
    'sys/fs/cgroup/pod/job/memory.current': '1\n',
  });
  expect(availableMemory(root)).toEqual({ available: 5 * gigabyte, total: 32 * gigabyte, limit: 8 * gigabyte });
});

test('cgroup v1: the same by its own names; a number beyond all memory is no limit', () => {
  const group = (limit: string) =>
    rootOf({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '12:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n1:name=systemd:/\n',
      'sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes': limit,
      'sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes': `${3 * gigabyte}`,
      'sys/fs/cgroup/memory/docker/x/memory.stat': `total_active_file ${gigabyte}\ntotal_inactive_file 0\n`,
    });
  expect(availableMemory(group(`${4 * gigabyte}`))).toMatchObject({ available: 2 * gigabyte, limit: 4 * gigabyte });
  expect(availableMemory(group('9223372036854771712'))).toMatchObject({ available: 20 * gigabyte, limit: undefined });
});

test('a group that is over its limit leaves nothing, not less', () => {
  const root = rootOf({
    'proc/meminfo': meminfo,
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': `${gigabyte}`,
    'sys/fs/cgroup/memory.current': `${2 * gigabyte}`,
  });
  expect(availableMemory(root).available).toBe(0);
});

test('elsewhere than on Linux: what Node says', () => {
  const { available, total, limit } = availableMemory(rootOf({}));
  expect([total, limit]).toEqual([totalmem(), undefined]);
  expect(Math.abs(available - freemem())).toBeLessThan(2 * gigabyte);
});
