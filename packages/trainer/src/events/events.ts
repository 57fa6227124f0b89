import { token } from '@glulam/plugin';
import type { Observable, Subscription } from 'rxjs';
import type { FilePlace } from '../data/open-data.js';
import type { DataReport } from '../data/store/data-report.js';
import type { FetchProgress } from '../open/source.js';
import type { RunPlan } from '../plan/plan-run.js';

/** A step that a run kept, with its watched score (`evaluate.watch`) where that was taken after it. */
export interface ScoredStep {
  /** Optimizer steps done when it was kept. */
  readonly step: number;
  /** undefined: no evaluation after this step gave the score. */
  readonly value?: number | undefined;
}

/** What a run reports, in order. Times are milliseconds since 1970 (`eventTime`). */
export type RunEvent = ReportedEvent & {
  /** The id of the run, the same whenever it is resumed; absent outside of runs, and in runs of earlier versions. */
  readonly run?: string;
};

type ReportedEvent =
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
      /** What it will take, as planned; runs of earlier versions lack it. */
      readonly plan?: RunPlan;
      /** The step of the checkpoint that an interrupted run resumes from; events of later steps come again. */
      readonly resumedFrom?: number;
    }
  /** A base or data file is downloaded, every second or so and at its end. */
  | ({ readonly type: 'input.fetching'; readonly time: number } & FetchProgress)
  /** A data file that is read, every second or so; `among` the files of a folder or pattern. */
  | {
      readonly type: 'data.reading';
      readonly time: number;
      readonly file: string;
      readonly rows: number;
      readonly among?: FilePlace | undefined;
    }
  /** A data file was read: what the model will see of it. */
  | ({ readonly type: 'data.read'; readonly time: number } & DataReport)
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
  /** An evaluator that takes long, once a second: how many of its questions or examples it has scored. Not in the run folder. */
  | {
      readonly type: 'evaluation.running';
      readonly time: number;
      /** Of a run; absent where a model is only scored. */
      readonly step?: number;
      readonly evaluator: string;
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly type: 'evaluation.finished';
      readonly time: number;
      readonly step: number;
      readonly evaluator: string;
      readonly scores: Readonly<Record<string, number>>;
    }
  /** `folder` has everything needed to resume from this step; `best`: it was kept for its score. */
  | {
      readonly type: 'checkpoint.saved';
      readonly time: number;
      readonly step: number;
      readonly folder: string;
      readonly best: boolean;
    }
  /** The run ends: its adapter folder holds the adapter of `step`. Runs of earlier versions lack the rest. */
  | {
      readonly type: 'adapter.saved';
      readonly time: number;
      readonly step: number;
      readonly folder: string;
      readonly last?: ScoredStep;
      /** Where a checkpoint was kept for its score; `step` is this one. */
      readonly best?: ScoredStep | undefined;
      /** What the values are: `loss`, or the evaluator and the score. */
      readonly watched?: string;
    }
  /** The run ends before its last step; it can be resumed. */
  | { readonly type: 'run.stopped'; readonly time: number; readonly step: number; readonly reason: string }
  | { readonly type: 'warning'; readonly time: number; readonly message: string }
  | {
      readonly type: 'run.finished';
      readonly time: number;
      readonly folder: string;
      readonly seconds: number;
      /** The most memory of this process that no file backs, as far as it was seen; runs of earlier versions lack it. */
      readonly peakBytes?: number;
    }
  | { readonly type: 'run.failed'; readonly time: number; readonly code: string; readonly message: string }
  /** An ablation begins, or goes on: so many runs of its variants, whose own events follow. */
  | {
      readonly type: 'ablation.started';
      readonly time: number;
      readonly folder: string;
      readonly variants: readonly string[];
      readonly seeds: readonly number[];
      readonly runs: number;
    }
  /** One of them begins; `isFinished`: it was finished in an earlier session, and nothing is done for it. */
  | {
      readonly type: 'variant.started';
      readonly time: number;
      readonly variant: string;
      readonly seed: number;
      /** From 1. */
      readonly number: number;
      readonly of: number;
      /** The run's folder. */
      readonly folder: string;
      readonly isFinished: boolean;
    }
  /** One of them is finished; `value`: its watched score after its last evaluation. */
  | {
      readonly type: 'variant.finished';
      readonly time: number;
      readonly variant: string;
      readonly seed: number;
      readonly folder: string;
      readonly value?: number | undefined;
    }
  /** The ablation's reports are written. */
  | {
      readonly type: 'ablation.finished';
      readonly time: number;
      readonly folder: string;
      readonly reports: readonly string[];
      readonly findings: readonly string[];
    }
  /** A search of layer maps begins, or goes on with those that are not scored yet. */
  | {
      readonly type: 'search.started';
      readonly time: number;
      readonly folder: string;
      readonly maps: number;
      readonly scored: number;
      /** What the scores are. */
      readonly evaluator: string;
      readonly score: string;
      readonly better: 'lower' | 'higher';
    }
  /** A map was scored; it is a list of half-open intervals of the base's layers. */
  | {
      readonly type: 'map.scored';
      readonly time: number;
      readonly map: readonly (readonly [number, number])[];
      readonly score: number;
      /** From 1, those of earlier sessions included. */
      readonly number: number;
      readonly of: number;
    }
  /** The search's reports are written. */
  | {
      readonly type: 'search.finished';
      readonly time: number;
      readonly folder: string;
      readonly reports: readonly string[];
      readonly findings: readonly string[];
    }
  /** An event of a plugin's own, named `<plugin>.<event>`; its data is written down as JSON. */
  | { readonly type: 'plugin'; readonly time: number; readonly name: string; readonly data: unknown };

/** What a run is asked for; honoured between steps. `keep best`: keep a checkpoint of this step as the best one. */
export type RunRequest = 'stop' | 'evaluate' | 'checkpoint' | 'keep best';

/** The stream through which plugins meet a run. */
export interface RunEvents {
  /**
   * Subscribe to what `pipeline` makes of the events, side effects in `tap`; if it throws, it alone is cut off. With
   * `replay` the run's earlier events come first, those of its earlier sessions included, each once: for who comes late.
   * Progress that is not recorded (`evaluation.running`) is not replayed.
   */
  listen(
    owner: string,
    pipeline: (events: Observable<RunEvent>) => Observable<unknown>,
    options?: { readonly replay?: boolean },
  ): Subscription;
  /** Send an event to all listeners before returning. Within a run the event gets the run's id. */
  emit(event: RunEvent): void;
  /** `reason` is told where the request ends the run. */
  request(request: RunRequest, reason?: string): void;
  /** The requests since the last call, with their reasons; the loop's. */
  takeRequests(): ReadonlyMap<RunRequest, string | undefined>;
}

/** The events of a run so far. */
export interface RunRecord {
  /** Takes each event before any listener gets it. */
  add(event: RunEvent): void;
  /** All of them, those of earlier sessions included, for listeners that want them replayed. */
  past(): Iterable<RunEvent>;
}

/** What a command's stream needs of the stream of a run in it. */
export interface InnerStream extends Pick<RunEvents, 'request'> {
  /** The run's events so far. */
  past(): Iterable<RunEvent>;
}

/** The stream as runs have it. */
export interface RunEventStream extends RunEvents {
  /** What is emitted is of this run, and goes to its record first, until the returned function is called. */
  within(run: string, record: RunRecord): () => void;
  /** A run begins in this stream's command: it gets what the command is asked for, until the returned function is called. */
  join(stream: InnerStream): () => void;
  /** The run is over. */
  close(): void;
}

/**
 * The event stream: in the scope of a run that run's, and in the composition around it the command's, which gets the events of all
 * its runs.
 */
export const events = token<RunEventStream>('trainer.events');
