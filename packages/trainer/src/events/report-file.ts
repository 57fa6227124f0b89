import { closeSync, constants, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { expandHome, makeFolder } from '@glulam/files';
import { TrainerError } from '../errors.js';

/** A file that a reporter appends to, for programs that read it while it grows. */
export interface ReportFile {
  /** Bytes before this sitting's first. */
  readonly sizeBefore: number;
  /** Append whole records: they are in the file when this returns, and none of them where it throws. */
  append(record: Uint8Array): void;
  /** May be called again. */
  close(): void;
}

/** The place of a report that a reporter's options name: relative to the run folder. */
export const reportPlace = (runFolder: string, name: string): string => path.resolve(runFolder, expandHome(name));

/**
 * Open a file to append to, with the folders it is in.
 *
 * @throws TrainerError REPORT_UNWRITABLE, here and in `append`
 */
export function openReportFile(file: string): ReportFile {
  const unwritable = (cause: unknown): TrainerError =>
    new TrainerError(
      'REPORT_UNWRITABLE',
      `${file} cannot be written (${(cause as Error).message}); the run goes on without this reporter: ` +
        'make room, or name another place in its options under "reporters"',
      { cause },
    );
  let handle: number | undefined;
  let sizeBefore: number;
  try {
    makeFolder(path.dirname(file));
    checkReader(file);
    handle = openSync(file, 'a');
    sizeBefore = fstatSync(handle).size;
  } catch (cause) {
    throw unwritable(cause);
  }
  return {
    sizeBefore,
    append(record) {
      if (handle === undefined) return;
      const before = fstatSync(handle).size;
      try {
        for (let done = 0; done < record.length;) done += writeSync(handle, record, done);
      } catch (cause) {
        // A record cut short would spoil the ones behind it, of a resumed run.
        if (fstatSync(handle).size !== before) ftruncateSync(handle, before);
        throw unwritable(cause);
      }
    },
    close() {
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}

/** Opening a pipe to write waits for a reader, which may never come. */
function checkReader(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFIFO() !== true) return;
  try {
    closeSync(openSync(file, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cause;
    throw new Error('it is a named pipe that nothing reads', { cause });
  }
}
