import { describe, expect, test } from 'vitest';
import type { ChatMessage } from './chat-template.js';
import { ModelError } from '../errors.js';
import { learntTurns, type LearntTurnsOptions, type RenderedTurns } from './learnt-turns.js';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const turns = [user('hi'), assistant('hello'), user('bye'), assistant('so long')];

/** A template written as a function: the text of a message, which may depend on where it stands. */
type Write = (message: ChatMessage, isLast: boolean) => string;

function learn(
  messages: readonly ChatMessage[],
  write: Write,
  { prompt = 'A:', isTrained = () => true }: { prompt?: string; isTrained?: LearntTurnsOptions['isTrained'] } = {},
) {
  const render = (given: readonly ChatMessage[], addGenerationPrompt: boolean): RenderedTurns => ({
    text:
      given.map((message, index) => write(message, index === given.length - 1)).join('') +
      (addGenerationPrompt ? prompt : ''),
    generation: [],
    unplacedGenerations: 0,
  });
  return learntTurns(messages, { render, isTrained, hasMarks: false, eos: '</s>' }).map(({ spans }) =>
    spans.map(({ text, trained }) => (trained ? `[${text}]` : text)).join(''),
  );
}

const named: Write = ({ role, content }) =>
  role === 'assistant' ? `A:${String(content)}</s>\n` : `U:${String(content)}\n`;

describe('a template that marks nothing', () => {
  test('whose text only grows: one text, each turn from the generation prompt to its end of turn', () => {
    expect(learn(turns, named)).toEqual(['U:hi\nA:[hello</s>]\nU:bye\nA:[so long</s>]\n']);
  });

  test('messages that nothing answers are context at the end; without an assistant nothing is learnt', () => {
    expect(learn(turns.slice(0, 3), named)).toEqual(['U:hi\nA:[hello</s>]\nU:bye\n']);
    expect(learn(turns.slice(0, 1), named)).toEqual(['U:hi\n']);
  });

  test('a turn that is context only is in the text and not learnt', () => {
    const isTrained = (index: number): boolean => index !== 1;
    expect(learn(turns, named, { isTrained })).toEqual(['U:hi\nA:hello</s>\nU:bye\nA:[so long</s>]\n']);
  });

  test('that ends only the last turn: a text for each turn, in which it is the last', () => {
    const write: Write = ({ role, content }, isLast) =>
      role === 'assistant' ? `A:${String(content)}${isLast ? '</s>' : '\n'}` : `U:${String(content)}\n`;
    expect(learn(turns, write)).toEqual(['U:hi\nA:[hello</s>]', 'U:hi\nA:hello\nU:bye\nA:[so long</s>]']);
  });

  test('that strips earlier reasoning: turns without any stay in one text', () => {
    const strip: Write = ({ role, content }, isLast) =>
      named({ role, content: isLast ? content : String(content).replace(/<think>.*<\/think>/, '') }, isLast);
    const thinking = [...turns, user('why'), assistant('<think>Hm.</think>So.'), user('ok'), assistant('Yes.')];
    expect(learn(thinking, strip)).toEqual([
      'U:hi\nA:[hello</s>]\nU:bye\nA:[so long</s>]\nU:why\nA:[<think>Hm.</think>So.</s>]\n',
      'U:hi\nA:hello</s>\nU:bye\nA:so long</s>\nU:why\nA:So.</s>\nU:ok\nA:[Yes.</s>]\n',
    ]);
  });

  test('whose generation prompt opens what the turn does not keep: the turn from its own header', () => {
    const prompt = 'A:<think>\n';
    const strip: Write = ({ role, content }, isLast) =>
      named({ role, content: String(content).split('</think>').at(-1)! }, isLast);
    expect(learn([user('7x8'), assistant('<think>\nlong\n</think>\n56')], strip, { prompt })).toEqual([
      'U:7x8\nA:[\n56</s>]\n',
    ]);
    // Content that begins like the rest of the prompt is learnt from its first character.
    expect(learn([user('tag'), assistant('<thing>')], strip, { prompt })).toEqual(['U:tag\nA:[<thing></s>]\n']);
  });

  test('a turn without an end token is learnt to its last character', () => {
    expect(learn(turns.slice(0, 2), ({ content }) => `${String(content)}\n`, { prompt: '' })).toEqual([
      'hi\n[hello\n]',
    ]);
  });
});

test('a conversation that the assistant begins, whose generation prompt the template refuses', () => {
  const render: LearntTurnsOptions['render'] = (messages, addGenerationPrompt) => {
    if (messages.length === 0) throw new ModelError('CHAT_TEMPLATE_FAILED', 'no messages');
    const text = messages.map((message) => named(message, false)).join('') + (addGenerationPrompt ? 'A:' : '');
    return { text: `S\n${text}`, generation: [], unplacedGenerations: 0 };
  };
  expect(learntTurns([assistant('Welcome')], { render, isTrained: () => true, hasMarks: false, eos: '</s>' })).toEqual([
    {
      spans: [
        { text: 'S\nA:', trained: false },
        { text: 'Welcome</s>', trained: true },
        { text: '\n', trained: false },
      ],
    },
  ]);
});

test('other errors of a rendering are not taken for a refusal', () => {
  const render = (): never => {
    throw new TypeError('a fault of ours');
  };
  expect(() => learntTurns(turns, { render, isTrained: () => true, hasMarks: true, eos: undefined })).toThrow(
    TypeError,
  );
});

describe('a template that marks what the assistant writes', () => {
  const render: LearntTurnsOptions['render'] = () => ({
    text: 'hi hello bye so long',
    unplacedGenerations: 0,
    generation: [
      { start: 3, end: 8 },
      { start: 13, end: 20 },
    ],
  });
  const spansOf = (messages: readonly ChatMessage[], isTrained: LearntTurnsOptions['isTrained']) =>
    learntTurns(messages, { render, isTrained, hasMarks: true, eos: '</s>' });

  test('decides for itself', () => {
    expect(spansOf(turns, () => true)).toEqual([
      {
        spans: [
          { text: 'hi ', trained: false },
          { text: 'hello', trained: true },
          { text: ' bye ', trained: false },
          { text: 'so long', trained: true },
        ],
      },
    ]);
  });

  test('a message that is context only is one of its parts, or the conversation is refused', () => {
    const isTrained = (index: number): boolean => index !== 1;
    expect(spansOf(turns, isTrained)[0]!.spans).toEqual([
      { text: 'hi hello bye ', trained: false },
      { text: 'so long', trained: true },
    ]);
    expect(() => spansOf([...turns, assistant('again')], isTrained)).toThrow(/marks 2 parts .* for 3 messages/);
  });

  test('a conversation of which nothing is to be learnt is refused for nothing', () => {
    const whole = [{ spans: [{ text: 'hi hello bye so long', trained: false }] }];
    expect(spansOf(turns.slice(0, 2), () => false)).toEqual(whole);
    expect(spansOf(turns, () => false)).toEqual(whole);
  });

  test('what it leaves unmarked is not learnt, of a conversation without any mark too', () => {
    const unmarked: LearntTurnsOptions['render'] = () => ({ text: 'hi hello', unplacedGenerations: 0, generation: [] });
    const options = { render: unmarked, isTrained: () => true, hasMarks: true, eos: '</s>' };
    expect(learntTurns(turns, options)).toEqual([{ spans: [{ text: 'hi hello', trained: false }] }]);
  });
});

test('marks inside of macros and captured blocks, whose place is not known, are refused', () => {
  const render: LearntTurnsOptions['render'] = () => ({ text: 'x', generation: [], unplacedGenerations: 2 });
  expect(() => learntTurns(turns, { render, isTrained: () => true, hasMarks: true, eos: undefined })).toThrow(
    /macro.*\(2 times\)/,
  );
});

test('blocks inside of others add nothing', () => {
  const generation = [
    { start: 4, end: 6 },
    { start: 2, end: 8 },
  ];
  const render: LearntTurnsOptions['render'] = () => ({ text: '0123456789', generation, unplacedGenerations: 0 });
  const [text] = learntTurns(turns, { render, isTrained: () => true, hasMarks: true, eos: undefined });
  expect(text!.spans.map(({ text: piece, trained }) => (trained ? `[${piece}]` : piece)).join('')).toBe('01[234567]89');
});
