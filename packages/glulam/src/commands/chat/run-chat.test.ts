import { PassThrough } from 'node:stream';
import type { Conversation } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { GlulamError } from '../../errors.js';
import { openOutput } from '../../cli/output.js';
import { runChat } from './run-chat.js';

/** A chat whose model answers "echo: " and the message, or goes on for ever where it is told so. */
function open(terminal: boolean) {
  const [input, output, notes] = [new PassThrough(), new PassThrough(), new PassThrough()];
  Object.assign(output, { isTTY: terminal });
  const texts = { output: '', notes: '' };
  output.on('data', (text: Buffer) => (texts.output += text.toString()));
  notes.on('data', (text: Buffer) => (texts.notes += text.toString()));
  const asked: string[] = [];
  const conversation = {
    async *answer(message: string, { signal }: { signal?: AbortSignal }) {
      asked.push(message);
      if (message === 'fail') throw new GlulamError('USAGE', 'the model is tired');
      yield 'echo: ';
      while (message === 'for ever') {
        await new Promise((done) => setTimeout(done, 1));
        signal!.throwIfAborted();
        yield 'on ';
      }
      yield* message === 'control' ? ['\u001b', '[2Jpw', 'ned'] : [message];
      return message === 'long' ? 'length' : 'end';
    },
  } as unknown as Conversation;
  const controller = new AbortController();
  const commands = (line: string) => Promise.resolve(line === '/exit' ? undefined : `done: ${line}`);
  const generate = { maxNewTokens: 4 };
  const ended = runChat(
    { input, output: openOutput(() => output), notes: openOutput(() => notes), terminal },
    { conversation, commands, generate, signal: controller.signal },
  );
  const until = async (pattern: RegExp): Promise<void> => {
    await expect.poll(() => texts.output + texts.notes, { interval: 2 }).toMatch(pattern);
  };
  return { input, texts, asked, ended, controller, until };
}

describe('from a pipe', () => {
  test('answers are on stdout and nothing else; the end of input ends it', async () => {
    const { input, texts, asked, ended } = open(false);
    input.end('one\n\n  /reset \nlong\nlast');
    await ended;
    expect(asked).toEqual(['one', 'long', 'last']);
    expect(texts.output).toBe('echo: one\necho: long\necho: last\n');
    expect(texts.notes).toMatch(/^done: \/reset\n\(cut off: .*\)\n$/);
  });

  test('/exit ends it at once, and a fault too', async () => {
    const one = open(false);
    one.input.end('/exit\nmore\n');
    await one.ended;
    expect(one.asked).toEqual([]);
    const other = open(false);
    other.input.end('fail\nmore\n');
    await expect(other.ended).rejects.toThrow('the model is tired');
    expect(other.asked).toEqual(['fail']);
  });

  test('a signal stops the answer and ends the chat with its reason', async () => {
    const { input, ended, controller, until, asked } = open(false);
    input.write('for ever\nmore\n');
    await until(/on on/);
    controller.abort(new Error('SIGTERM'));
    await expect(ended).rejects.toThrow('SIGTERM');
    expect(asked).toEqual(['for ever']);
  });
});

test.each([
  [false, 'echo: \u001b[2Jpwned\n'],
  [true, 'echo: \\x1b[2Jpwned\n'],
])('an answer with a control sequence, on a terminal: %s', async (terminal, shown) => {
  const { input, texts, ended, until } = open(terminal);
  // Typed at a terminal it would be a key.
  input.write('control\n');
  await until(/pwned\n/);
  input.end();
  await ended;
  expect(texts.output).toContain(shown);
  if (terminal) expect(texts.output).not.toContain('\u001b[2J');
});

describe('at a terminal', () => {
  const [ctrlC, ctrlD] = ['\x03', '\x04'];

  test('Ctrl-C stops the answer, clears a line, and twice at the prompt ends', async () => {
    const { input, ended, until, texts, asked } = open(true);
    input.write('for ever\r');
    await until(/on on/);
    input.write(ctrlC);
    await until(/\(stopped\)/);
    input.write(`half a line${ctrlC}`);
    input.write('whole\r');
    await until(/echo: whole\n/);
    expect(asked).toEqual(['for ever', 'whole']);
    input.write(ctrlC);
    await until(/once more ends/);
    // Whatever is said in between begins the count anew.
    input.write('more\r');
    await until(/echo: more\n/);
    input.write(ctrlC);
    input.write(ctrlC);
    await ended;
    expect(texts.notes.match(/once more ends/g)).toHaveLength(2);
  });

  test('a fault is told and the chat goes on, until Ctrl-D', async () => {
    const { input, ended, until } = open(true);
    input.write('fail\r');
    await until(/error \[USAGE\]: the model is tired/);
    input.write('again\r');
    await until(/echo: again\n/);
    input.write(ctrlD);
    await ended;
  });
});
