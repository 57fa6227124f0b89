/** What the body of an answer may be and take. */
interface BodyLimits {
  readonly bytes: number;
  /** Milliseconds for all of it. */
  readonly time: number;
  readonly signal: AbortSignal;
}

/** A body that is larger than the limit: to ask again would not help. */
export class BodyTooLarge extends Error {}

/**
 * The whole body of an answer, in memory.
 *
 * Throws BodyTooLarge, a plain Error where it takes too long or is cut, and the signal's reason.
 */
export async function readBody(
  response: Response,
  { bytes, time, signal }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const deadline = performance.now() + time;
  for await (const piece of piecesOf(response, signal, () => deadline - performance.now())) {
    length += piece.length;
    if (length > bytes) throw new BodyTooLarge(`its answer is longer than ${bytes} bytes`);
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

/**
 * A body piece by piece. Ends with an Error where the next one takes longer than `patience` says, in milliseconds, and with
 * the signal's reason.
 */
export async function* piecesOf(
  response: Response,
  signal: AbortSignal,
  patience: () => number,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), patience(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // What is not read to its end is not wanted. Nobody waits for a server to notice, and a reader that failed has
    // nothing to cancel.
    reader.cancel().catch(() => {});
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let stop = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it stopped or came too slowly')), Math.max(0, milliseconds));
    stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
  // Whatever loses the race is not looked at.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
