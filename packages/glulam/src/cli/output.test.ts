import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { openOutput } from './output.js';

/** A stream that keeps what is written, and fails from the first write on where it has a code. */
function stream({ code, isTTY = false }: { code?: string; isTTY?: boolean } = {}) {
  const texts: string[] = [];
  const made = new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      if (code !== undefined) return done(Object.assign(new Error(`${code}: refused`), { code }));
      texts.push(text);
      done();
    },
  });
  return { stream: Object.assign(made, { isTTY }), text: () => texts.join('') };
}

test('what is not ours is visible; what is drawn and generated passes where it may', () => {
  const file = stream();
  const output = openOutput(() => file.stream);
  output.write('a\u001b[31m\n');
  output.tell('b\u0007\n');
  output.writeJson('{"c":"\u009b"}\n');
  output.writeDrawn('\u001b[1md\u001b[22m\n');
  const { write, end } = output.generated();
  for (const piece of ['e\u001b', '[2J\r', '\n']) write(piece);
  end();
  expect(file.text()).toBe('a\\x1b[31m\nb\\x07\n{"c":"\\u009b"}\n\u001b[1md\u001b[22m\ne\u001b[2J\r\n');
});

test('generated text on a terminal is visible, wherever its pieces part', () => {
  const terminal = stream({ isTTY: true });
  const { write, end } = openOutput(() => terminal.stream).generated();
  for (const piece of ['e\u001b', '[2J\r', '\n\udb40', '\udc41\r']) write(piece);
  end();
  expect(terminal.text()).toBe('e\\x1b[2J\n\\u{e0041}\\x0d');
});

test.each([
  ['EPIPE', 'OUTPUT_CLOSED'],
  ['EIO', 'OUTPUT_CLOSED'],
  ['ENOSPC', 'OUTPUT_UNWRITABLE'],
])('%s: the next write ends the command with %s, and remarks are dropped', async (code, expected) => {
  const failing = stream({ code });
  const output = openOutput(() => failing.stream);
  output.write('first');
  expect(await output.settle()).toMatchObject({ failure: { code }, content: 'results' });
  expect(() => output.write('second')).toThrow(expect.objectContaining({ code: expected }));
  expect(() => output.tell('remark')).not.toThrow();
});

test('stderr drops what it cannot write, and remarks alone are no results', async () => {
  const failing = stream({ code: 'EPIPE' });
  const errors = openOutput(() => failing.stream, { mayFail: true });
  errors.write('first');
  await errors.settle();
  errors.write('second');
  const other = openOutput(() => stream({ code: 'EPIPE' }).stream);
  expect(await other.settle()).toEqual({ failure: expect.objectContaining({ code: 'EPIPE' }), content: undefined });
});
