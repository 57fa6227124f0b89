import { createHook, executionAsyncId } from 'node:async_hooks';

/** Types that end by themselves. */
const passing = new Set(['PROMISE', 'TickObject', 'Microtask', 'Immediate', 'RANDOMBYTESREQUEST']);

/** Tells what some code began and did not end: timers, connections, servers, child processes, requests. */
interface ResourceWatch {
  /** Whatever is begun within `act`, or by what was begun there, is watched. */
  within<T>(act: () => T): T;
  /** Node's names of what has not ended; what ends by itself gets a moment. */
  left(): Promise<string[]>;
  stop(): void;
}

/** `process.getActiveResourcesInfo` knows no owners: timers of the test runner come and go among those it names. */
export function watchResources(): ResourceWatch {
  const owned = new Set<number>();
  const open = new Map<number, string>();
  let watching = false;
  let waiting = false;
  const hook = createHook({
    init(id, type, trigger) {
      if (waiting || !(watching || owned.has(trigger) || owned.has(executionAsyncId()))) return;
      owned.add(id);
      if (!passing.has(type)) open.set(id, type);
    },
    destroy: (id) => void open.delete(id),
  }).enable();
  const wait = (milliseconds: number): Promise<void> => {
    waiting = true;
    const waited = new Promise<void>((done) => setTimeout(done, milliseconds));
    waiting = false;
    return waited;
  };
  return {
    within(act) {
      watching = true;
      try {
        return act();
      } finally {
        watching = false;
      }
    },
    async left() {
      for (let tries = 0; tries < 25 && open.size > 0; tries++) await wait(20);
      return [...open.values()];
    },
    stop: () => void hook.disable(),
  };
}
