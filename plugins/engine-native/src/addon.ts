import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorsError } from '@glulam/tensors';
import { layoutsHash } from './commands/layouts.js';

export const isaNames = ['avx512', 'avx512-bf16', 'avx2', 'neon', 'neon-bfmmla', 'neon-bfdot', 'plain'] as const;

/**
 * An instruction set that the kernels are compiled for. `avx512` is F, BW, DQ and VL, `neon` baseline ARMv8; those named
 * after a unit for bfloat16 multiply bfloat16 operands by it, the others widen them in registers and multiply in float32.
 */
export type Isa = (typeof isaNames)[number];

declare const handle: unique symbol;
/** The worker and its memory, on the native side. */
interface Handle {
  readonly [handle]: true;
}

type Payload = Float32Array | Int32Array;

/** What the addon exports: see native/addon.cc. */
export interface Addon {
  /** Those that this machine has, in the order of preference: widest first. */
  readonly isas: readonly Isa[];
  /** A command's number is its place here. */
  readonly operations: readonly string[];
  /** Of the layouts that it was made from, see commands/layouts.ts. */
  readonly layoutsHash: string;
  /** Storage formats that weights are decoded from as they are read. */
  readonly formats: readonly string[];
  /** `choice` as `choiceText` gives it. */
  create(threads: number, choice: string): Handle;
  /** GFLOP/s of one product on one thread; `pass`, `rows` and `bfloat16` are numbers as in native/gemm.h. */
  productRate(isa: Isa, pass: number, rows: number, bfloat16: number): number;
  /** The first `count` words are commands, see native/threads/queue.h; the payload is the last one's. */
  submit(handle: Handle, words: Float64Array, count: number, payload?: Payload): void;
  /** Resolves with the failure of the queue, if there was one. */
  read(handle: Handle, id: number, destination: Payload): Promise<NativeFailure | undefined>;
  drain(handle: Handle): Promise<NativeFailure | undefined>;
  close(handle: Handle): Promise<NativeFailure | undefined>;
  mapFile(handle: Handle, path: string): [file: number, bytes: number];
  stats(handle: Handle): NativeStats;
}

/** Why the queue failed: the operation, and what happened to it. */
export interface NativeFailure {
  readonly message: string;
  /** Where a part of a mapped file could not be read: the file's number, and the byte that was asked for. */
  readonly file?: number;
  readonly offset?: number;
}

/** Bytes on the native side, as they are now, and the most they ever were. */
export interface NativeStats {
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** Held of the system: live blocks, freed ones that are kept for reuse, and what lies beside them on their pages. */
  readonly heldBytes: number;
  readonly heldPeakBytes: number;
  /** Of files. */
  readonly mappedBytes: number;
}

/** A loaded addon, the version of its package, and in words where it came from. */
interface LoadedAddon {
  readonly addon: Addon;
  readonly version: string;
  readonly origin: string;
}

interface Manifest {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** @throws TensorsError ENGINE_UNAVAILABLE as `findAddon` does */
export function loadAddon(folder = packageFolder): Addon {
  return findAddon(folder).addon;
}

/**
 * The instruction sets of this machine that there are kernels for, widest first.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE as `findAddon` does
 */
export const instructionSets = (): readonly Isa[] => loadAddon().isas;

/**
 * Takes the first that loads of: what was compiled in this package's folder, the binary of this platform's package, and
 * what compiling the sources gives, now. Installing runs no scripts, so the last waits until it is needed.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE with all that was tried
 */
export function findAddon(folder = packageFolder): LoadedAddon {
  const file = path.join(folder, 'build/glulam.node');
  const script = path.join(folder, 'build.mjs');
  const { version } = readManifest(path.join(folder, 'package.json'));
  const failures: Failure[] = [];
  const attempt = (from: string, origin: string): LoadedAddon | undefined => {
    try {
      const addon = requireFrom(folder)(from) as Addon;
      if (addon.layoutsHash === layoutsHash) return { addon, version, origin: `${origin}: ${from}` };
      failures.push({ what: `${from} was made from other sources than this package has: its commands differ` });
      return undefined;
    } catch (cause) {
      failures.push({ what: `${from} does not load here: ${firstLine(cause)}`, cause });
      return undefined;
    }
  };

  const wasCompiled = existsSync(file);
  const compiled = wasCompiled ? attempt(file, 'compiled here') : undefined;
  if (compiled !== undefined) return compiled;
  const binary = platformBinary(folder);
  if (binary.file === undefined) failures.push({ what: binary.missing });
  const shipped = binary.file === undefined ? undefined : attempt(binary.file, 'binary from npm');
  if (shipped !== undefined) return shipped;
  // What a person put there is theirs: another machine may use the same folder.
  if (wasCompiled) throw unavailable(failures, `remove ${file} and compile it for this machine: node ${script}`);

  const why = binary.installed ? `${failures.map(({ what }) => what).join('; ')}\nengine-native: ` : '';
  process.stderr.write(
    `engine-native: ${why}compiling its C++ kernels for this machine; it takes about a minute, once\n`,
  );
  const { status, stderr, error } = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0) failures.push({ what: `compiling failed: ${error?.message ?? stderr.trim()}`, cause: error });
  const made = status === 0 ? attempt(file, 'compiled here') : undefined;
  if (made !== undefined) return made;
  const mend = `once one of these works, the next use takes it; to compile now: node ${script}`;
  throw unavailable(failures, `${mend}. Other engines need no compiler: docs/engines.md`);
}

/** The addon in the package of this platform, or why there is none. */
function platformBinary(
  folder: string,
): { file: string; installed: true } | { file?: undefined; missing: string; installed: boolean } {
  const platform = `${process.platform}-${process.arch}`;
  const name = `@glulam/engine-native-${platform}`;
  const { version, optionalDependencies } = readManifest(path.join(folder, 'package.json'));
  if (optionalDependencies?.[name] === undefined)
    return { missing: `@glulam/engine-native ${version} was made without a binary for ${platform}`, installed: false };
  const mend = `npm install ${name}@${version}`;
  let manifest: string;
  try {
    manifest = requireFrom(folder).resolve(`${name}/package.json`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    return { missing: `${name} is not installed: ${mend}`, installed: false };
  }
  const found = readManifest(manifest).version;
  if (found === version) return { file: path.join(path.dirname(manifest), 'glulam.node'), installed: true };
  return { missing: `${name} is ${found}, expected ${version} as this package: ${mend}`, installed: true };
}

interface Failure {
  readonly what: string;
  readonly cause?: unknown;
}

const unavailable = (failures: readonly Failure[], mend: string): TensorsError =>
  new TensorsError(
    'ENGINE_UNAVAILABLE',
    `engine-native does not load:\n${failures.map(({ what }) => `- ${what}\n`).join('')}To mend it: ${mend}`,
    { cause: failures.at(-1)?.cause },
  );

const readManifest = (file: string): Manifest => JSON.parse(readFileSync(file, 'utf8')) as Manifest;

const requireFrom = (folder: string): NodeJS.Require => createRequire(path.join(folder, 'package.json'));

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
