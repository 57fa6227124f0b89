import { createEngine, type Engine, type Precision } from '@glulam/tensors';
import { findAddon, type Isa, type NativeStats } from './addon.js';
import { createDevice } from './device.js';
import { createFused } from './fused/fused.js';
import { isaOfEnvironment, threadsOfEnvironment } from './environment.js';
import { checkIsa, describeChoice, onlyOn, readChoice } from './kernel-choice.js';
import { machineChoice } from './machine-choice.js';

export interface NativeEngineOptions {
  readonly precision?: Precision | undefined;
  /** Threads that compute; default: as many as the machine has for this process. */
  readonly threads?: number | undefined;
  /** One instruction set for everything; `auto` (default): GLULAM_ISA's, or for each kind of work the fastest one here. */
  readonly isa?: Isa | 'auto' | undefined;
  /** An earlier engine's `choice`, which `auto` takes if this machine can, so that sums are the same bit for bit. */
  readonly choice?: string | undefined;
}

export interface NativeEngine extends Engine {
  /** Bytes on the native side, caches and mapped files included. */
  stats(): NativeStats;
}

/**
 * The engine on C++ kernels. One thread runs commands in order, with `threads` that compute; a failed command is the
 * last that ran: `read` and `drain` reject from then on, and only `close` is left to do.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE when the addon cannot be built or the machine lacks `isa`.
 */
export function createNativeEngine(options: NativeEngineOptions = {}): NativeEngine {
  const { precision = 'float32', threads = threadsOfEnvironment(), choice: earlier } = options;
  const isa = options.isa === undefined || options.isa === 'auto' ? isaOfEnvironment() : options.isa;
  const { addon, version } = findAddon();
  const recorded = earlier === undefined ? undefined : readChoice(earlier, addon.isas);
  const choice =
    isa === 'auto' ? (recorded ?? machineChoice(addon, version).choice) : onlyOn(checkIsa(isa, addon.isas));
  const description = `native, ${describeChoice(choice)}, ${threads} thread${threads === 1 ? '' : 's'}`;
  const device = createDevice(addon, choice, threads, description);
  const engine = createEngine(device, {
    kind: 'native',
    precision,
    createFused: (shell, on) => createFused(device, shell, on),
  });
  return { ...engine, stats: device.stats };
}
