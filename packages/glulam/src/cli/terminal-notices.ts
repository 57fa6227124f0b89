import { formatBytes, type RunEvent } from '@glulam/trainer';
import { tap } from 'rxjs';
import type { CallOptions } from '../call.js';
import { describeFault } from '../call.js';
import { progressLine } from './progress-line.js';
import { stderr } from './output.js';

const placeOf = ({ among }: Extract<RunEvent, { type: 'data.reading' }>): string =>
  among === undefined ? '' : `file ${among.number.toLocaleString('en-US')} of ${among.of.toLocaleString('en-US')}, `;

/** What commands say beside their output, on stderr: warnings, and on a terminal how far a download, a data file or an evaluation is. */
export function terminalNotices(): Required<Pick<CallOptions, 'listen' | 'onFault'>> {
  const { show, clear } = progressLine(stderr);
  const write = (text: string): void => {
    clear();
    stderr.write(`${text}\n`);
  };
  const tell = (event: RunEvent): void => {
    if (event.type === 'warning') write(event.message);
    else if (event.type === 'input.fetching')
      show(`${event.name}: ${formatBytes(event.bytes)} of ${formatBytes(event.totalBytes)} here`);
    else if (event.type === 'evaluation.running')
      show(
        `${event.evaluator}: ${event.done.toLocaleString('en-US')} of ${event.total.toLocaleString('en-US')} scored`,
      );
    else if (event.type === 'data.reading')
      show(`${placeOf(event)}${event.file}: ${event.rows.toLocaleString('en-US')} rows read`);
  };
  return {
    listen: (events) => events.pipe(tap({ next: tell, complete: clear })),
    onFault: (owner, error) => write(describeFault(owner, error)),
  };
}
