import { createRequire } from 'node:module';
import { Worker, type ResourceLimits } from 'node:worker_threads';

/** A worker thread that answers each request with one message, in order. */
interface WorkerLane<Request, Answer> {
  /** Requests without an answer yet. */
  waiting(): number;
  /** Rejects with a plain Error where the worker ends before it answers. */
  ask(request: Request): Promise<Answer>;
  /** Ends the worker whatever it does. */
  close(): Promise<void>;
}

interface WorkerLaneOptions {
  /** What the worker's file reads as `workerData`. */
  readonly workerData: unknown;
  readonly resourceLimits?: ResourceLimits;
}

/** @param name a file that this package exports */
export function openWorkerLane<Request, Answer>(
  name: 'encode-worker' | 'parquet-worker',
  options: WorkerLaneOptions,
): WorkerLane<Request, Answer> {
  // By the package's name: tests run from the sources, which a worker of Node 20 cannot, and find the built file so.
  const file = createRequire(import.meta.url).resolve(`@glulam/trainer/${name}`);
  // Nor does it take over what Node was started with: there, that is where to find sources.
  const worker = new Worker(file, { ...options, execArgv: [] });
  const waiting: { done(answer: Answer): void; fail(error: Error): void }[] = [];
  let failure: Error | undefined;
  const end = (error: Error): void => {
    failure ??= error;
    for (const { fail } of waiting.splice(0)) fail(failure);
  };
  worker.on('message', (answer: Answer) => waiting.shift()!.done(answer));
  worker.on('error', end);
  worker.on('messageerror', end);
  worker.on('exit', (code) => end(new Error(`its thread ended with code ${code}`)));
  return {
    waiting: () => waiting.length,
    ask: (request) =>
      new Promise((done, fail) => {
        if (failure !== undefined) return fail(failure);
        // What cannot be sent throws here, and nothing waits for its answer.
        worker.postMessage(request);
        waiting.push({ done, fail });
      }),
    async close() {
      await worker.terminate();
    },
  };
}
