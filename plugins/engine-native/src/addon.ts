import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorsError } from '@glulam/tensors';

/** An instruction set that the kernels are compiled for. */
export type Isa = 'avx512' | 'avx2' | 'neon' | 'plain';

declare const handle: unique symbol;
/** The worker and its memory, on the native side. */
export interface Handle {
  readonly [handle]: true;
}

type Payload = Float32Array | Int32Array;

/** What the addon exports: see native/addon.cc. */
export interface Addon {
  /** Those that this machine has, widest first. */
  readonly isas: readonly Isa[];
  /** A command's number is its place here. */
  readonly operations: readonly string[];
  create(threads: number, isa: Isa): Handle;
  submit(handle: Handle, operation: number, ids: Uint32Array, params: Float64Array, payload?: Payload): void;
  /** Resolves with the failure of the queue, if there was one. */
  read(handle: Handle, id: number, destination: Payload): Promise<string | undefined>;
  drain(handle: Handle): Promise<string | undefined>;
  close(handle: Handle): Promise<string | undefined>;
  mapFile(handle: Handle, path: string): [file: number, bytes: number];
  stats(handle: Handle): NativeStats;
}

/** Bytes on the native side, as they are now: freed blocks are cached for reuse, files are mapped. */
export interface NativeStats {
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly cachedBytes: number;
  readonly mappedBytes: number;
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/**
 * Builds the addon first where that was never done: packages come as source, and installing them runs no scripts.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE when the addon cannot be built, or does not load here.
 */
export function loadAddon(folder = packageFolder): Addon {
  const file = path.join(folder, 'build/glulam.node');
  const script = path.join(folder, 'build.mjs');
  if (!existsSync(file)) buildAddon(script);
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    throw new TensorsError(
      'ENGINE_UNAVAILABLE',
      `engine-native does not load from ${file}: ${String(cause)}; remove that file and build it for this machine: node ${script}`,
      { cause },
    );
  }
}

function buildAddon(script: string): void {
  process.stderr.write('engine-native: compiling its C++ kernels for this machine; it takes about a minute, once\n');
  const { status, stderr, error } = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status === 0) return;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `engine-native is not built, and building it failed: ${error?.message ?? stderr.trim()}\n` +
      `When that is mended, the next use builds it, or now: node ${script}. Other engines need no compiler: docs/engines.md`,
    { cause: error },
  );
}

/** The one asked for, or for `auto` the widest. */
export function chooseIsa(addon: Addon, wanted: Isa | 'auto'): Isa {
  if (wanted === 'auto') return addon.isas[0]!;
  if (addon.isas.includes(wanted)) return wanted;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `engine-native was asked for the instruction set ${wanted}; this machine has ${addon.isas.join(', ')}: choose one of these, or auto`,
  );
}
