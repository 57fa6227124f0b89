import { token } from '@glulam/plugin';
import type { Observable, Subscription } from 'rxjs';

/** Everything a run tells, in order. Times are milliseconds since 1970. */
export type RunEvent =
  | {
      readonly type: 'run.started';
      readonly time: number;
      readonly folder: string;
      readonly engine: string;
      readonly physicalLayers: number;
      readonly virtualLayers: number;
      readonly trainableParameters: number;
      readonly steps: number;
      readonly examples: number;
    }
  | {
      readonly type: 'step.finished';
      readonly time: number;
      /** From 1. */
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly gradientNorm: number;
      readonly learningRate: number;
      readonly tokens: number;
      readonly tokensPerSecond: number;
    }
  | {
      readonly type: 'evaluation.finished';
      readonly time: number;
      readonly step: number;
      readonly evaluator: string;
      readonly scores: Readonly<Record<string, number>>;
    }
  | { readonly type: 'adapter.saved'; readonly time: number; readonly step: number; readonly folder: string }
  | { readonly type: 'run.finished'; readonly time: number; readonly folder: string; readonly seconds: number }
  | { readonly type: 'run.failed'; readonly time: number; readonly code: string; readonly message: string }
  /** An event of a plugin's own, named `<plugin>.<event>`. */
  | { readonly type: 'plugin'; readonly time: number; readonly name: string; readonly data: unknown };

/** What a run is asked for; honoured between steps. */
export type RunRequest = 'stop' | 'evaluate' | 'save';

/** The stream through which plugins meet a run. */
export interface RunEvents {
  /** Subscribe to what `pipeline` makes of the events, side effects in `tap`; if it throws, it alone is cut off. */
  listen(owner: string, pipeline: (events: Observable<RunEvent>) => Observable<unknown>): Subscription;
  emit(event: RunEvent): void;
  request(request: RunRequest): void;
  /** The requests since the last call; the loop's. */
  takeRequests(): readonly RunRequest[];
}

export const events = token<RunEvents>('trainer.events');
