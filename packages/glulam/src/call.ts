import type { Composition } from '@glulam/plugin';
import {
  createRunEvents,
  events,
  type FetchProgress,
  type FilePlace,
  type RunEvent,
  type RunEvents,
} from '@glulam/trainer';
import { Subject, takeUntil, tap, type Observable } from 'rxjs';

/** What every function for pipelines takes. */
export interface CallOptions {
  /** Aborting rejects with the signal's reason; a run that is training ends after its step instead, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Paths in `overrides` and in a config given as a record are relative to this folder; default: the working folder. */
  readonly folder?: string | undefined;
  /** Values laid over the config's, by their paths: `{ 'train.steps': 10 }`, as the command line's options do. */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
  /** Sees every event, in order; `ask` a run for an evaluation, a checkpoint or a stop. If it throws, it alone is cut off. */
  readonly onEvent?: ((event: RunEvent, ask: RunEvents['request']) => void) | undefined;
  /**
   * The same events as an rxjs Observable, which completes when the call ends: gives what is to be subscribed to, with
   * side effects in `tap`. If it fails, it alone is cut off.
   */
  readonly listen?: ((events: Observable<RunEvent>) => Observable<unknown>) | undefined;
  /** A listener or reporter that failed and was cut off; default: a `warning` event. */
  readonly onFault?: ((owner: string, error: unknown) => void) | undefined;
}

/** A call of a function for pipelines: where its events go. */
export interface Call {
  readonly signal: AbortSignal;
  warn(message: string): void;
  onProgress(progress: FetchProgress): void;
  /** Rows of a data file that were read; told once a second. */
  onReading(file: string, rows: number, among?: FilePlace): void;
  /** How far an evaluator is, of a model that is only scored. */
  onScoring(evaluator: string, done: number, total: number): void;
  /** Events of a run or model that is opened for the call. */
  attach(composition: Composition): void;
  /** Ends the call's listeners. */
  close(): void;
  /** The same, after the compositions were ended: what plugins cannot dispose of is a warning. */
  end(): Promise<void>;
}

/** What a listener that failed is reported as where nobody asks for more. */
export const describeFault = (owner: string, error: unknown): string =>
  `[${owner}] failed while listening to the run and was cut off: ${error instanceof Error ? error.message : String(error)}`;

export function openCall({ signal = new AbortController().signal, onEvent, listen, onFault }: CallOptions): Call {
  const warn = (message: string): void => stream.emit({ type: 'warning', time: Date.now(), message });
  const stream = createRunEvents(onFault ?? ((owner, error) => warn(describeFault(owner, error))));
  const ended = new Subject<void>();
  let told = Date.now();
  let request: RunEvents['request'] = stream.request;
  const compositions: Composition[] = [];
  const close = (): void => ended.next();
  if (onEvent !== undefined)
    stream.listen('onEvent', (all) =>
      all.pipe(
        takeUntil(ended),
        tap((event) => onEvent(event, (...asked) => request(...asked))),
      ),
    );
  if (listen !== undefined) stream.listen('listen', (all) => listen(all.pipe(takeUntil(ended))));
  return {
    signal,
    warn,
    onReading(file, rows, among) {
      const time = Date.now();
      if (time - told < 1000) return;
      told = time;
      stream.emit({ type: 'data.reading', time, file, rows, ...(among === undefined ? {} : { among }) });
    },
    onProgress: (progress) => stream.emit({ type: 'input.fetching', time: Date.now(), ...progress }),
    onScoring: (evaluator, done, total) =>
      stream.emit({ type: 'evaluation.running', time: Date.now(), evaluator, done, total }),
    attach(composition) {
      compositions.push(composition);
      const source = composition.get(events);
      request = source.request;
      source.listen('call', (all) => all.pipe(takeUntil(ended), tap(stream.emit)));
    },
    close,
    async end() {
      for (const composition of compositions) await composition.end().catch((error: Error) => warn(error.message));
      close();
    },
  };
}
