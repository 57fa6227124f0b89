import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { openReportStream } from './report-stream.js';

/** Takes a while for each write; from write number `failsAt` on they fail with `code`. */
function slowStream(failsAt = Infinity, code = 'EPIPE') {
  const taken: string[] = [];
  let writes = 0;
  const stream = new Writable({
    // As stdout: it survives its errors.
    autoDestroy: false,
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      writes += 1;
      const fails = writes >= failsAt;
      if (!fails) taken.push(chunk);
      setTimeout(() => done(fails ? Object.assign(new Error(`write ${code}`), { code }) : undefined), 2);
    },
  });
  return { stream, taken };
}
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 20));

describe('report stream', () => {
  test('closing waits for what was written, once, and leaves the stream open and without a listener', async () => {
    const { stream, taken } = slowStream();
    const report = openReportStream(stream);
    for (const text of ['a', 'b', 'c']) report.write(text);
    await report.close();
    await report.close();
    expect(taken.join('')).toBe('abc');
    expect([stream.writableEnded, stream.listenerCount('error')]).toEqual([false, 0]);
  });

  test('a reader that went away ends the printing without a word', async () => {
    const { stream, taken } = slowStream(2);
    const report = openReportStream(stream);
    for (const text of ['a', 'b']) report.write(text);
    await settle();
    report.write('c');
    await report.close();
    expect(taken).toEqual(['a']);
    expect(stream.listenerCount('error')).toBe(0);
  });

  test('one that goes away while it is closed harms nobody', async () => {
    const { stream } = slowStream(1);
    const report = openReportStream(stream);
    report.write('a');
    await report.close();
    expect(stream.listenerCount('error')).toBe(0);
  });

  test('anything else that fails is said by the next write', async () => {
    const { stream } = slowStream(1, 'ENOSPC');
    const report = openReportStream(stream);
    report.write('a');
    await settle();
    expect(() => report.write('b')).toThrow(expect.objectContaining({ code: 'REPORT_UNWRITABLE' }) as Error);
    expect(() => report.write('b')).toThrow(/ENOSPC/);
    await report.close();
  });
});
