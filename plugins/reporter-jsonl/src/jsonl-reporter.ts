import { closeSync, openSync, readSync } from 'node:fs';
import {
  openReportFile,
  reportPlace,
  visibleJson,
  type ReportFile,
  type RunEvent,
  type RunEvents,
} from '@glulam/trainer';
import { tap } from 'rxjs';

const owner = '@glulam/reporter-jsonl';
/** The same values, without what a terminal would obey: JSON itself escapes only a part of it. */
const lineOf = (event: RunEvent): string => `${visibleJson(JSON.stringify(event))}\n`;

/** Print each event as a line of JSON; returns how to end. */
export function printJsonLines(events: RunEvents, write: (line: string) => void): () => void {
  const subscription = events.listen(owner, (stream) => stream.pipe(tap((event) => write(lineOf(event)))));
  return () => subscription.unsubscribe();
}

/** Append each event to a file as a line of JSON, written at once; `file` is relative to the run folder. */
export function appendJsonLines(events: RunEvents, file: string): () => void {
  let open: ReportFile | undefined;
  // Warnings may come before the run folder is known; nothing is kept of a run that never starts.
  const early: string[] = [];
  const report = (event: RunEvent): void => {
    if (event.type === 'run.started') {
      open ??= openAtLineStart(reportPlace(event.folder, file));
      for (const line of early.splice(0)) open.append(Buffer.from(line));
    }
    if (open === undefined) early.push(lineOf(event));
    else open.append(Buffer.from(lineOf(event)));
  };
  const subscription = events.listen(owner, (stream) => stream.pipe(tap(report)));
  return () => {
    subscription.unsubscribe();
    open?.close();
  };
}

/** A file may end within a line, where a machine went down: what follows begins a line of its own. */
function openAtLineStart(file: string): ReportFile {
  const opened = openReportFile(file);
  if (opened.sizeBefore > 0 && byteAt(file, opened.sizeBefore - 1) !== 0x0a) opened.append(Buffer.from('\n'));
  return opened;
}

function byteAt(file: string, position: number): number {
  const handle = openSync(file, 'r');
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, position);
  closeSync(handle);
  return byte[0]!;
}
