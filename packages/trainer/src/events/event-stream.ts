import { AsyncLocalStorage } from 'node:async_hooks';
import { Observable, Subject, type Subscription } from 'rxjs';
import { TrainerError } from '../errors.js';
import type { InnerStream, RunEvent, RunEventStream, RunRecord, RunRequest } from './events.js';

/** Whose code runs, also behind an await. */
const listening = new AsyncLocalStorage<{ cutOff(error: unknown): void }>();

/**
 * An event stream. A pipeline that throws becomes an error of that pipeline alone: it is reported to `onFault`
 * with its owner's name and cut off, while the run and the other listeners go on.
 *
 * @param outer the stream of the command that a run belongs to: it gets the run's events as well, and hands its requests on
 */
export function createRunEvents(
  onFault: (owner: string, error: unknown) => void,
  outer?: RunEventStream,
): RunEventStream {
  const subject = new Subject<RunEvent>();
  const inner = new Set<InnerStream>();
  let run: string | undefined;
  let record: RunRecord | undefined;
  let requests = new Map<RunRequest, string | undefined>();
  const past = (): Iterable<RunEvent> => record?.past() ?? [...inner].flatMap((each) => [...each.past()]);
  const request = (asked: RunRequest, reason?: string): void => {
    if (inner.size > 0) for (const each of inner) each.request(asked, reason);
    else requests.set(asked, reason ?? requests.get(asked));
  };
  const takeRequests = (): ReadonlyMap<RunRequest, string | undefined> => {
    const taken = requests;
    requests = new Map();
    return taken;
  };
  const leave = outer?.join({ past, request });
  return {
    listen(owner, pipeline, { replay = false } = {}) {
      let isCutOff = false;
      const cutOff = (error: unknown): void => {
        if (isCutOff) return;
        isCutOff = true;
        subscription?.unsubscribe();
        onFault(owner, error);
      };
      const listener = { cutOff };
      const own = new Observable<RunEvent>((subscriber) => {
        const give = (event: RunEvent): void => listening.run(listener, () => subscriber.next(event));
        // What is emitted while earlier events are given comes after these.
        const late: RunEvent[] = [];
        let isLive = !replay;
        const live = subject.subscribe((event) => (isLive ? give(event) : late.push(event)));
        if (!isLive) {
          for (const event of past()) give(event);
          for (let event = late.shift(); event !== undefined; event = late.shift()) give(event);
          isLive = true;
        }
        return live;
      });
      let subscription: Subscription | undefined;
      return (subscription = listening.run(listener, () => pipeline(own).subscribe({ error: cutOff })));
    },
    emit(event) {
      const own = run === undefined ? event : withRun(event, run);
      // Before any listener, which may ask for what was recorded, or emit an event of its own.
      record?.add(own);
      subject.next(own);
      outer?.emit(own);
    },
    within(id, recordOf) {
      if (run !== undefined)
        throw new TrainerError(
          'RUN_BUSY',
          `the run ${run} has this event stream; begin another scope of the composition for a run beside it`,
        );
      run = id;
      record = recordOf;
      return () => {
        run = undefined;
        record = undefined;
      };
    },
    join(stream) {
      inner.add(stream);
      // What was asked for before there was a run.
      for (const [asked, reason] of takeRequests()) stream.request(asked, reason);
      return () => void inner.delete(stream);
    },
    close: () => leave?.(),
    request,
    takeRequests,
  };
}

/** Listeners may emit anything: what is no record, or cannot be copied, stays as it is. */
function withRun(event: RunEvent, run: string): RunEvent {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return event;
  try {
    return { ...event, run };
  } catch {
    return event; // it has a getter that throws; whoever writes it down says so
  }
}

let watching = 0;

/**
 * Until the returned function is called, a listener that leaves a rejected promise behind is cut off as one that throws:
 * without this Node would end the process. Other rejections do so still, unless the program listens to them itself.
 */
export function cutOffRejections(): () => void {
  const onRejection = (error: unknown): void => {
    const listener = listening.getStore();
    if (listener !== undefined) listener.cutOff(error);
    else if (process.listenerCount('unhandledRejection') <= watching) throw error;
  };
  process.on('unhandledRejection', onRejection);
  watching += 1;
  return () => {
    process.off('unhandledRejection', onRejection);
    watching -= 1;
  };
}
