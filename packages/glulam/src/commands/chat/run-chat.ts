import { createInterface } from 'node:readline';
import type { Conversation, GenerateTextOptions } from '@glulam/model';
import type { Output } from '../../cli/output.js';
import type { ChatCommands } from './slash-commands.js';

interface ChatStreams {
  readonly input: NodeJS.ReadableStream;
  /** Answers. */
  readonly output: Output;
  /** All that is said beside them. */
  readonly notes: Pick<Output, 'write'>;
  /** Someone sits at it: lines are edited, Ctrl-C stops an answer, and a fault does not end the chat. */
  readonly terminal: boolean;
}

interface ChatOptions {
  readonly conversation: Conversation;
  readonly commands: ChatCommands;
  readonly generate: GenerateTextOptions;
  /** Ends the chat. */
  readonly signal: AbortSignal;
}

/** A line is a message, or a command where it begins with /; until the input ends. */
export async function runChat({ input, output, notes, terminal }: ChatStreams, options: ChatOptions): Promise<void> {
  const { conversation, commands, generate, signal } = options;
  const lines = createInterface({ input, terminal, prompt: '> ', ...(terminal ? { output: output.stream } : {}) });
  const note = (text: string): void => void notes.write(`${text}\n`);
  const prompt = (): void => {
    if (terminal && !signal.aborted) lines.prompt();
  };
  let answering: AbortController | undefined;
  let warned = false;

  const interrupt = (): void => {
    if (answering !== undefined) answering.abort();
    else if (lines.line !== '') {
      // To its end, and from there back: the line is cleared.
      for (const name of ['e', 'u']) lines.write(null, { ctrl: true, name });
    } else if (warned) lines.close();
    else {
      warned = true;
      note('\nCtrl-C once more ends the chat, as Ctrl-D and /exit do');
      prompt();
    }
  };
  const end = (): void => {
    answering?.abort();
    lines.close();
  };
  lines.on('SIGINT', interrupt);
  signal.addEventListener('abort', end);

  const answer = async (message: string): Promise<void> => {
    answering = new AbortController();
    const stop = answering.signal;
    try {
      let ended: string | undefined;
      const text = output.generated();
      const pieces = conversation.answer(message, { ...generate, signal: stop });
      for (;;) {
        const { value, done } = await pieces.next();
        if (done === true) {
          ended = value;
          break;
        }
        text.write(value);
      }
      text.end();
      output.write('\n');
      if (ended === 'length') note('(cut off: --max-tokens, or the last of the model’s positions)');
    } catch (error) {
      if (!stop.aborted) throw error;
      note(signal.aborted ? '' : '\n(stopped)');
    } finally {
      answering = undefined;
    }
  };

  try {
    prompt();
    for await (const line of lines) {
      warned = false;
      const text = line.trim();
      try {
        if (text.startsWith('/')) {
          const told = await commands(text, signal);
          if (told === undefined) return;
          note(told);
        } else if (text !== '') await answer(text);
      } catch (error) {
        if (!terminal || !(error instanceof Error) || !('code' in error)) throw error;
        note(`error [${String(error.code)}]: ${error.message}`);
      }
      if (signal.aborted) break;
      prompt();
    }
    signal.throwIfAborted();
    // The input ended behind a prompt.
    if (terminal) note('');
  } finally {
    signal.removeEventListener('abort', end);
    lines.close();
  }
}
