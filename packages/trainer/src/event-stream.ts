import { Subject } from 'rxjs';
import type { RunEvent, RunEvents, RunRequest } from './events.js';

/**
 * The event stream of a run. A pipeline that throws becomes an error of that pipeline alone: it is reported to `onFault`
 * with its owner's name and cut off, while the run and the other listeners go on.
 */
export function createRunEvents(onFault: (owner: string, error: unknown) => void): RunEvents {
  const subject = new Subject<RunEvent>();
  let requests = new Map<RunRequest, string | undefined>();
  return {
    listen: (owner, pipeline) =>
      pipeline(subject.asObservable()).subscribe({ error: (error) => onFault(owner, error) }),
    emit: (event) => subject.next(event),
    request: (request, reason) => void requests.set(request, reason ?? requests.get(request)),
    takeRequests() {
      const taken = requests;
      requests = new Map();
      return taken;
    },
  };
}
