import { throwError, type Subscription } from 'rxjs';
import { TrainerError } from '../errors.js';
import type { RunEvents } from './events.js';
import type { ReporterContribution } from './reporter.js';

/** Writing out what is left takes no longer. */
const patience = 10_000;

/**
 * Open a reporter that cannot harm the run: if it fails in `open` or in its end, or does not end, that is told once
 * with its name, and it is cut off. The returned function ends it and does not reject.
 */
export function openReporter(
  contribution: ReporterContribution,
  options: unknown,
  events: RunEvents,
  longest = patience,
): () => Promise<void> {
  const subscriptions: Subscription[] = [];
  let isCutOff = false;
  const cutOff = (error: unknown): void => {
    if (isCutOff) return;
    isCutOff = true;
    subscriptions.forEach((subscription) => subscription.unsubscribe());
    events.listen(`reporter ${contribution.kind}`, () => throwError(() => error));
  };
  const own: RunEvents = {
    listen(owner, pipeline, options) {
      const name = owner.includes(contribution.kind) ? owner : `${owner} of the reporter ${contribution.kind}`;
      const subscription = events.listen(name, pipeline, options);
      subscriptions.push(subscription);
      return subscription;
    },
    emit: (event) => events.emit(event),
    request: (request, reason) => events.request(request, reason),
    takeRequests: () => events.takeRequests(),
  };
  let opened: unknown;
  try {
    opened = contribution.open(options, own);
  } catch (error) {
    cutOff(error);
  }
  // An `open` that is not synchronous, which no reporter's should be, may still reject.
  Promise.resolve(opened).catch(cutOff);
  const end = async (): Promise<void> => {
    const close = await opened;
    if (typeof close === 'function') await (close as () => unknown)();
  };
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `it did not end within ${longest / 1000} seconds; what it has not written is lost`;
        reject(new TrainerError('REPORT_UNWRITABLE', message));
      }, longest);
    });
    try {
      await Promise.race([end(), late]);
    } catch (error) {
      cutOff(error);
    } finally {
      clearTimeout(timer);
    }
  };
}
