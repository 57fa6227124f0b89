import type { ChatMessage, TextSpan } from './chat-template.js';
import { ModelError } from '../errors.js';
import type { GenerationSpan, RenderedTemplate } from './jinja/template.js';

/** A conversation as a template writes it. */
export type RenderedTurns = Pick<RenderedTemplate, 'text' | 'generation' | 'unplacedGenerations'>;

export interface LearntTurnsOptions {
  render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): RenderedTurns;
  /** Whether a message of the assistant is learnt, by its index; the others are context. */
  isTrained(index: number): boolean;
  /** The template marks what the assistant writes. What it leaves unmarked, of any conversation, is not learnt. */
  readonly hasMarks: boolean;
  /** The text of the end-of-text token. */
  readonly eos: string | undefined;
}

/** One text of a conversation, in pieces. */
export interface LearntText {
  /** Joined, they are the text. The trained ones are the assistant's turns that are learnt. */
  readonly spans: readonly TextSpan[];
}

/**
 * What is learnt of a conversation: the assistant's turns, their content and their end of turn, without the header that
 * the generation prompt gives.
 *
 * A template that marks what the assistant writes (`{% generation %}`) decides for itself. Of any other, each turn is what
 * its rendering adds to the generation prompt before it. Where the template writes a turn differently once more messages
 * follow (it strips earlier reasoning, or ends only the last turn), the conversation becomes several texts, each of which
 * ends with a turn as the model writes it: first those turns that the next text repeats as they are, then the next.
 *
 * @throws ModelError CHAT_TEMPLATE_FAILED if the template refuses the conversation, or a part of it that ends with a turn
 *   of the assistant
 */
export function learntTurns(messages: readonly ChatMessage[], options: LearntTurnsOptions): LearntText[] {
  const { render, isTrained, hasMarks } = options;
  const whole = render(messages, false);
  const learnt = messages.map(({ role }, index) => role === 'assistant' && isTrained(index));
  if (whole.unplacedGenerations > 0) throw unplaced(whole.unplacedGenerations);
  if (hasMarks) return [{ spans: marked(messages, learnt, whole) }];

  const texts: { readonly text: string; readonly turns: GenerationSpan[] }[] = [];
  const open = (text: string) => {
    const last = texts.at(-1);
    // A text that only continues the one before takes its place.
    const turns = last !== undefined && text.startsWith(last.text) ? texts.pop()!.turns : [];
    texts.push({ text, turns });
    return turns;
  };
  learnt.forEach((flag, index) => {
    if (!flag) return;
    const { text } = render(messages.slice(0, index + 1), false);
    const turns = open(text);
    const start = turnStart(messages, index, text, options);
    turns.push({ start, end: start + written(text.slice(start), options.eos) });
  });
  // Messages after the last learnt turn are context that nothing answers: they stay where they fit.
  if (texts.length === 0 || whole.text.startsWith(texts.at(-1)!.text)) open(whole.text);
  return texts.map(({ text, turns }) => ({ spans: cut(text, turns) }));
}

/** Each marked part is a turn of the assistant's, or all are: only then can single turns be left out. */
function marked(
  messages: readonly ChatMessage[],
  learnt: readonly boolean[],
  { text, generation }: RenderedTurns,
): TextSpan[] {
  const assistants = messages.flatMap(({ role }, index) => (role === 'assistant' ? [learnt[index]!] : []));
  const parts = outermost(generation);
  if (!assistants.includes(true)) return cut(text, []);
  if (assistants.every((flag) => flag)) return cut(text, parts);
  if (assistants.length !== parts.length) {
    throw new ModelError(
      'CHAT_TEMPLATE_FAILED',
      `The model's chat template marks ${parts.length} parts with {% generation %} for ${assistants.length} ` +
        'messages of the assistant, so a message that is not to be learnt cannot be found among them. Give each message ' +
        'one marked part, or learn all messages of the conversation.',
    );
  }
  return cut(
    text,
    parts.filter((_, index) => assistants[index]),
  );
}

/** In the order of the text; blocks inside of others add nothing. */
function outermost(spans: readonly GenerationSpan[]): GenerationSpan[] {
  const sorted = spans.toSorted((a, b) => a.start - b.start || b.end - a.end);
  return sorted.filter(({ end }, index) => sorted.slice(0, index).every((before) => before.end < end));
}

const unplaced = (count: number): ModelError =>
  new ModelError(
    'CHAT_TEMPLATE_FAILED',
    `The model's chat template marks what the assistant writes inside of a macro or a captured block (${count} times), so ` +
      'its place in the text is not known. Move {% generation %} to where the text is written, or remove the marks.',
  );

/** Where the model begins to write in `text`, which ends with this turn. */
function turnStart(
  messages: readonly ChatMessage[],
  index: number,
  text: string,
  { render }: LearntTurnsOptions,
): number {
  const before = messages.slice(0, index);
  const prompt = promptBefore(before, render);
  if (prompt !== undefined && text.startsWith(prompt)) return prompt.length;
  // The generation prompt opens more than the turn keeps, as one that ends with <think> does: the turn's own header is
  // what it writes before any content. Contents may begin like the rest of the prompt, so two that differ are compared.
  const [first, second] = ['\uE000', '\uE001'].map(
    (content) => render([...before, { ...messages[index]!, content }], false).text,
  ) as [string, string];
  const header = commonLength(first, second);
  return prompt === undefined ? header : Math.min(header, commonLength(text, prompt));
}

/** undefined: the template refuses what comes before this turn, as some do a conversation that the assistant begins. */
function promptBefore(before: readonly ChatMessage[], render: LearntTurnsOptions['render']): string | undefined {
  try {
    return render(before, true).text;
  } catch (error) {
    if (error instanceof ModelError && error.code === 'CHAT_TEMPLATE_FAILED') return undefined;
    throw error;
  }
}

function commonLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

/** How much of a turn the model writes: not the white space that templates put after the end-of-turn token. */
function written(turn: string, eos: string | undefined): number {
  const trimmed = turn.trimEnd();
  return eos !== undefined && trimmed.endsWith(eos) ? trimmed.length : turn.length;
}

/** A text in pieces, `parts` of which are trained. */
function cut(text: string, parts: readonly GenerationSpan[]): TextSpan[] {
  const spans: TextSpan[] = [];
  let done = 0;
  const add = (end: number, trained: boolean): void => {
    if (end > done) spans.push({ text: text.slice(done, end), trained });
    done = Math.max(done, end);
  };
  for (const { start, end } of parts) {
    add(start, false);
    add(end, true);
  }
  add(text.length, false);
  return spans;
}
