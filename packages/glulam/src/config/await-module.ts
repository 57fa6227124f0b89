/** Modules of configs and plugins define something: what takes longer belongs in a function. */
const longest = 30_000;

const advice = 'do what takes long in a function, such as data.train: { rows: () => readMyRows() }';

/** A module whose loading did not end. */
export class ModuleStuck extends Error {
  override readonly name = 'ModuleStuck';
}

/**
 * A module as it is imported. A top-level await that never settles becomes an error. Node would end the process with
 * code 13 and without a word, or wait forever where something else keeps the process alive.
 *
 * @param limit milliseconds
 */
export async function awaitModule<T>(module: Promise<T>, limit = longest): Promise<T> {
  let onStuck = (_: ModuleStuck): void => {};
  const stuck = new Promise<never>((_, reject) => (onStuck = reject));
  // Nothing is left that could settle it. The error has to wait for a turn of the event loop, which keeps Node running.
  const onIdle = (): void =>
    void setImmediate(() =>
      onStuck(new ModuleStuck(`it waits for something that never comes (a top-level await); ${advice}`)),
    );
  const timer = setTimeout(
    () => onStuck(new ModuleStuck(`it was not loaded within ${limit / 1000} seconds (a top-level await); ${advice}`)),
    limit,
  );
  // Node reports that it is idle only where no timer is left.
  timer.unref();
  process.once('beforeExit', onIdle);
  try {
    return await Promise.race([module, stuck]);
  } finally {
    clearTimeout(timer);
    process.off('beforeExit', onIdle);
  }
}
