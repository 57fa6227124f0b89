import { Subject } from 'rxjs';
import type { RunEvent, RunEvents, RunRequest } from './events.js';

/**
 * The event stream of a run. A pipeline that throws becomes an error of that pipeline alone: it is reported to `onFault`
 * with its owner's name and cut off, while the run and the other listeners go on.
 */
export function createRunEvents(onFault: (owner: string, error: unknown) => void): RunEvents {
  const subject = new Subject<RunEvent>();
  let requests: RunRequest[] = [];
  return {
    listen: (owner, pipeline) =>
      pipeline(subject.asObservable()).subscribe({ error: (error) => onFault(owner, error) }),
    emit: (event) => subject.next(event),
    request: (request) => void requests.push(request),
    takeRequests() {
      const taken = requests;
      requests = [];
      return taken;
    },
  };
}
