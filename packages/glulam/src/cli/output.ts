import type { Writable } from 'node:stream';
import { visibleJson, visibleStream, visibleText } from '@glulam/trainer';
import { GlulamError } from '../errors.js';

/** A terminal, or what stands in its place. */
type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * stdout or stderr as commands write to them. Names, messages and generated text come from anybody, so everything is made
 * visible on its way to the stream (`visibleText`); only what is built here passes `drawn`.
 *
 * @throws GlulamError OUTPUT_CLOSED, OUTPUT_UNWRITABLE in the write after the one that failed; stderr drops what it cannot
 *   write, since there is no place to report it
 */
export interface Output {
  /** For readline, which moves the cursor. */
  readonly stream: OutputStream;
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  write(text: string): void;
  /** JSON, which stays the same value. */
  writeJson(json: string): void;
  /** Text with control sequences of ours; whoever builds it has made the rest visible. */
  writeDrawn(text: string): void;
  /** A remark beside the work: a reader that went away does not end it. */
  tell(text: string): void;
  /** A generated text, piece by piece: exact where it goes to a file or a pipe, visible on a terminal. */
  generated(): { readonly write: (piece: string) => void; readonly end: () => void };
  /** Notice failures from here on, whoever writes; without it from the first write on. */
  watch(): void;
  /** Wait until everything is written. */
  settle(): Promise<OutputState>;
}

interface OutputState {
  readonly failure: NodeJS.ErrnoException | undefined;
  /** What was written here: results, remarks alone, or nothing. */
  readonly content: 'results' | 'remarks' | undefined;
}

/** @param mayFail what cannot be written is dropped: for stderr */
export function openOutput(streamOf: () => OutputStream, { mayFail = false } = {}): Output {
  let failure: NodeJS.ErrnoException | undefined;
  let content: OutputState['content'];
  let watched: OutputStream | undefined;
  const watch = (): OutputStream => {
    if (watched !== undefined) return watched;
    watched = streamOf();
    // The process would die of an error that nobody listens to. The listener stays: a terminal may go away at any time.
    return watched.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= error;
    });
  };
  const put = (text: string): void => {
    content = 'results';
    const stream = watch();
    if (failure === undefined) stream.write(text);
    else if (!mayFail) throw outputFailed(failure);
  };
  return {
    get stream() {
      return streamOf();
    },
    get isTTY() {
      return streamOf().isTTY === true;
    },
    // Asked for at each line: the window may be resized.
    get columns() {
      return streamOf().columns;
    },
    write: (text) => put(visibleText(text)),
    writeJson: (json) => put(visibleJson(json)),
    writeDrawn: put,
    tell(text) {
      content ??= 'remarks';
      const stream = watch();
      if (failure === undefined) stream.write(visibleText(text));
    },
    generated() {
      if (streamOf().isTTY !== true) return { write: put, end: () => undefined };
      const { next, end } = visibleStream();
      return { write: (piece) => put(next(piece)), end: () => put(end()) };
    },
    watch: () => void watch(),
    async settle() {
      const stream = watch();
      // The stream emits the error of a write after calling back, so we listen a little longer.
      if (failure === undefined)
        await new Promise<void>((done) => void stream.write('', () => setImmediate(() => done())));
      return { failure, content };
    },
  };
}

/** Whether the reader went away (`| head`), or the terminal did, which is no fault. */
export const isClosed = ({ code }: NodeJS.ErrnoException): boolean => code === 'EPIPE' || code === 'EIO';

export const outputFailed = (cause: NodeJS.ErrnoException): GlulamError =>
  isClosed(cause)
    ? new GlulamError('OUTPUT_CLOSED', `the reader of the output went away (${cause.message})`, { cause })
    : new GlulamError(
        'OUTPUT_UNWRITABLE',
        `the output cannot be written (${cause.message}); make room, or send it elsewhere`,
        { cause },
      );

export const stdout = openOutput(() => process.stdout);
export const stderr = openOutput(() => process.stderr, { mayFail: true });
