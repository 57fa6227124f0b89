/** Keep what is printed instead of printing it. */
export function captureStdout(): { text(): string; restore(): void } {
  const original = process.stdout.write;
  let captured = '';
  process.stdout.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    captured += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const done = rest.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
  return {
    text: () => captured,
    restore: () => void (process.stdout.write = original),
  };
}
