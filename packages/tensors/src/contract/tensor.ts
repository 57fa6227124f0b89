import { sizeOf, type DType } from '@glulam/files';
import { TensorsError } from '../errors.js';

/** Raise it when copies of this file from before and after a change cannot work on the same tensors and scopes. */
const protocol = 1;
const brand = Symbol.for('glulam.Tensor');
const stateKey = Symbol.for('glulam.tensors.state');

interface ProcessState {
  readonly protocol: number;
  /** Of each open scope, the holds that it gives up at its end. */
  readonly openScopes: Tensor[][];
}

/**
 * Of the process, not of this file: where a plugin brings a copy of this package of its own, its tensors land in the scopes
 * of the others. Without that all of them would leak.
 */
const { openScopes } = joinProcess(globalThis as { [stateKey]?: ProcessState });

function joinProcess(process: { [stateKey]?: ProcessState }): ProcessState {
  const state = (process[stateKey] ??= { protocol, openScopes: [] });
  if (state.protocol === protocol) return state;
  throw new TensorsError(
    'COPIES_DIFFER',
    `two copies of @glulam/tensors are loaded that cannot share tensors: got one of protocol ${state.protocol} and one of protocol ${protocol}, expected the same; npm ls @glulam/tensors shows which package brings its own: update it`,
  );
}

/**
 * A handle on an array that an engine stores, row-major. Its values exist on the engine's side only; `engine.read` brings
 * them here. A tensor is counted: whoever keeps it beyond the scope it was made in retains it, and the engine frees the
 * storage when the last holder has released it.
 */
export class Tensor {
  /** Length of each axis; [] for a scalar. */
  readonly shape: readonly number[];
  /** How the engine stores the elements. */
  readonly dtype: DType;
  /** The engine's own record; no one else looks into it. */
  readonly storage: unknown;
  readonly #free: (tensor: Tensor) => void;
  #holders = 1;

  /** @param free called once with the tensor, when the last holder has released it */
  constructor(shape: readonly number[], dtype: DType, storage: unknown, free: (tensor: Tensor) => void) {
    this.shape = shape;
    this.dtype = dtype;
    this.storage = storage;
    this.#free = free;
    openScopes.at(-1)?.push(this);
  }

  get [brand](): true {
    return true;
  }

  /** Tensors of another copy of this package count too. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Whether the last holder has released it; any further use throws DISPOSED. */
  get disposed(): boolean {
    return this.#holders === 0;
  }

  /** Hold the tensor once more; every `retain` wants its `release`. */
  retain(): this {
    this.#checkAlive('retain');
    this.#holders += 1;
    return this;
  }

  /** Give up one hold; the last one frees the storage. */
  release(): void {
    this.#checkAlive('release');
    this.#holders -= 1;
    if (this.#holders === 0) this.#free(this);
  }

  #checkAlive(what: string): void {
    if (this.#holders === 0) {
      throw new TensorsError(
        'DISPOSED',
        `cannot ${what} a tensor of shape [${this.shape.join(', ')}]: it was already freed; keep it with retain() or return it from its scope`,
      );
    }
  }
}

/**
 * Run `body` and release every tensor it made, but those found in its result (a tensor, or arrays and plain records of
 * them), which pass to the surrounding scope or, outside any, to the caller. The body is synchronous: with an `await`
 * inside, tensors of other work would land in the scope.
 */
export function scope<T>(body: () => T): T {
  const made: Tensor[] = [];
  openScopes.push(made);
  let result: T;
  try {
    result = body();
    if (isThenable(result)) {
      throw new TensorsError(
        'SCOPE_ASYNC',
        'the body of a scope returned a promise; a scope is synchronous: await outside of it and pass tensors in',
      );
    }
  } catch (error) {
    openScopes.pop();
    for (const tensor of made) if (!tensor.disposed) tensor.release();
    throw error;
  }
  openScopes.pop();
  const outer = openScopes.at(-1);
  const kept = result instanceof Tensor ? undefined : collect(result, new Set());
  for (const tensor of made) {
    if (kept === undefined ? tensor === result : kept.has(tensor)) outer?.push(tensor);
    else if (!tensor.disposed) tensor.release();
  }
  return result;
}

/** Take a tensor out of the open scope, so that the caller alone holds it. */
export function detach<T extends Tensor>(tensor: T): T {
  const made = openScopes.at(-1);
  const place = made?.lastIndexOf(tensor) ?? -1;
  if (place >= 0) made!.splice(place, 1);
  return tensor;
}

/** Give the caller's hold on a tensor to the open scope, which releases it at its end. */
export function adopt<T extends Tensor>(tensor: T): T {
  openScopes.at(-1)?.push(tensor);
  return tensor;
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function collect(value: unknown, into: Set<Tensor>): Set<Tensor> {
  if (value instanceof Tensor) into.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (value instanceof Map) for (const item of value.values()) collect(item, into);
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) collect(item, into);
  }
  return into;
}

/** Run what needs a tensor, and release it, whatever comes of that; undefined: nothing is held. */
export async function whileHeld<T>(tensor: Tensor | undefined, body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } finally {
    tensor?.release();
  }
}
