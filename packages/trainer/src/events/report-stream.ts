import type { Writable } from 'node:stream';
import { TrainerError } from '../errors.js';

/** A stream that a reporter prints to, such as stdout. */
export interface ReportStream {
  /** Write a text; after the reader has gone away, nothing. */
  write(text: string): void;
  /** Wait until everything is written, and let go of the stream; it is not ended. */
  close(): Promise<void>;
}

/**
 * Print to a stream that others own. A reader that goes away (`glulam train ... | head`) ends the printing and not the
 * run, which without a listener for the stream's error would die of it.
 *
 * @throws TrainerError REPORT_UNWRITABLE in the write after one that failed otherwise
 */
export function openReportStream(stream: Writable): ReportStream {
  let failure: NodeJS.ErrnoException | undefined;
  let open = true;
  const onError = (error: NodeJS.ErrnoException): void => {
    failure ??= error;
  };
  stream.on('error', onError);
  return {
    write(text) {
      if (failure === undefined) {
        stream.write(text);
        return;
      }
      if (failure.code === 'EPIPE') return;
      throw new TrainerError(
        'REPORT_UNWRITABLE',
        `the output cannot be written (${failure.message}); the run goes on without this reporter`,
        { cause: failure },
      );
    },
    async close() {
      if (!open) return;
      open = false;
      // The stream emits the error of a write after calling back, so we listen a little longer.
      if (failure === undefined)
        await new Promise<void>((done) => void stream.write('', () => setImmediate(() => done())));
      stream.off('error', onError);
    },
  };
}
