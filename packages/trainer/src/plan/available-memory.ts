import { existsSync, readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import path from 'node:path';

/** Memory that this process can still take, in bytes. */
export interface AvailableMemory {
  /** What is free or held by caches that the system can drop, within the container's limit. */
  readonly available: number;
  /** Of the machine. */
  readonly total: number;
  /** The least limit of the control groups that this process is in: a container's, a job's. */
  readonly limit: number | undefined;
}

/** `root` stands for `/`, for tests. */
export function availableMemory(root = '/'): AvailableMemory {
  const meminfo = readText(path.join(root, 'proc/meminfo'));
  const line = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo ?? '');
  const total = /^MemTotal:\s+(\d+) kB$/m.exec(meminfo ?? '');
  const free = line === null ? freemem() : Number(line[1]) * 1024;
  const groups = controlGroups(root);
  return {
    available: Math.max(0, Math.min(free, ...groups.map(({ limit, used }) => limit - used))),
    total: total === null ? totalmem() : Number(total[1]) * 1024,
    limit: groups.length === 0 ? undefined : Math.min(...groups.map(({ limit }) => limit)),
  };
}

/**
 * The groups with a memory limit above this process, and what is used in each: page cache of files does not count, since
 * the system drops it before it refuses memory (Linux, cgroup-v2.rst and cgroup-v1/memory.rst).
 */
function controlGroups(root: string): { readonly limit: number; readonly used: number }[] {
  const own = readText(path.join(root, 'proc/self/cgroup')) ?? '';
  const found = own.split('\n').flatMap((entry) => {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(entry) ?? [];
    if (group === undefined) return [];
    if (controllers === '')
      return ancestors(group).map((each) => readGroup(path.join(root, 'sys/fs/cgroup', each), v2));
    if (controllers!.split(',').includes('memory'))
      return ancestors(group).map((each) => readGroup(path.join(root, 'sys/fs/cgroup/memory', each), v1));
    return [];
  });
  return found.filter((group) => group !== undefined);
}

interface GroupFiles {
  readonly limit: string;
  readonly used: string;
  /** Keys of `memory.stat` that count pages of files. */
  readonly files: readonly string[];
}
const v2: GroupFiles = { limit: 'memory.max', used: 'memory.current', files: ['active_file', 'inactive_file'] };
const v1: GroupFiles = {
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  files: ['total_active_file', 'total_inactive_file'],
};

/** undefined: no such group is seen from here, or it has no limit. */
function readGroup(folder: string, names: GroupFiles): { readonly limit: number; readonly used: number } | undefined {
  const limit = Number(readText(path.join(folder, names.limit)) ?? NaN);
  // Without a limit, version 2 says "max" and version 1 a number beyond all memory.
  if (!Number.isFinite(limit) || limit > 2 ** 60) return undefined;
  const stat = readText(path.join(folder, 'memory.stat')) ?? '';
  const files = names.files.map((key) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0));
  const used = Number(readText(path.join(folder, names.used)) ?? 0) - files.reduce((sum, each) => sum + each, 0);
  return { limit, used: Math.max(0, used) };
}

/** `/a/b` is in `/a` and `/`, and limits of these hold for it too. */
function ancestors(group: string): string[] {
  const parts = group.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, depth) => `/${parts.slice(0, depth).join('/')}`);
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
