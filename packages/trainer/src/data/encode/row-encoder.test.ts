import path from 'node:path';
import { openTokenizer, type ChatMessage, type Tokenizer } from '@glulam/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Example } from '../../batches.js';
import type { RowText } from '../data-format.js';
import { createRowEncoder } from './row-encoder.js';

const root = path.resolve(import.meta.dirname, '../../../../..');
const tiny = openTokenizer(path.join(root, 'examples/models/tiny-mistral-gsm8k'));
const prompt = 'Question: {question}\nAnswer:';

function encode(
  text: RowText,
  changes: { maxTokens?: number; loss?: 'assistant' | 'all'; tokenizer?: Tokenizer } = {},
) {
  const { tokenizer = tiny, maxTokens = 2048, loss = 'assistant' } = changes;
  const chatTemplate = tokenizer.chatTemplate?.source;
  return createRowEncoder(tokenizer, { prompt, loss, maxTokens, chatTemplate })(text);
}
function examplesOf(...args: Parameters<typeof encode>) {
  const row = encode(...args);
  if ('skip' in row) throw new Error(row.skip);
  return row;
}
const learnt = ({ ids, trained }: Example) => [...ids].filter((_, i) => trained[i] === 1);
const show = (ids: Iterable<number>) => tiny.decode([...ids], { skipSpecialTokens: false });

describe('pairs', () => {
  test('a question with its answer: the prompt, a space, the answer, the end learnt', () => {
    const { examples, notes } = examplesOf({ question: 'One $& two?', answer: 'Three $1.' });
    const text = 'Question: One $& two?\nAnswer: Three $1.';
    expect([...examples[0]!.ids]).toEqual([...tiny.encode(text), tiny.eosId]);
    expect(learnt(examples[0]!)).toEqual([...tiny.encode(text).slice(tiny.encode('Question: One $& two?\nAnswer:').length), tiny.eosId]); // prettier-ignore
    expect(notes).toEqual([]);
  });

  test('an end token that the model has no embedding for is refused', () => {
    const tokenizer = { ...tiny, embeddingRows: tiny.eosId! };
    const row = { question: 'One?', answer: 'Two.' };
    expect(() => encode(row, { tokenizer })).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_MISMATCH', message: expect.stringMatching(/end with eos_token \(id 2\).* has 2 rows/) as string }) as Error,
    ); // prettier-ignore
    const { examples } = examplesOf(row, { tokenizer: { ...tiny, embeddingRows: tiny.eosId! + 1 } });
    expect(examples[0]!.ids.at(-1)).toBe(tiny.eosId);
  });

  test('a prompt with its completion, as they are; with loss "all" everything behind the first token is learnt', () => {
    const pair = { prompt: 'One, two,', completion: ' three, four' };
    const [example] = examplesOf(pair).examples;
    expect([...example!.ids]).toEqual([...tiny.encode('One, two, three, four'), tiny.eosId]);
    expect(learnt(example!)).toEqual([...example!.ids.slice(tiny.encode('One, two,').length)]);
    const [all] = examplesOf(pair, { loss: 'all' }).examples;
    expect(all!.ids).toEqual(example!.ids);
    expect([...all!.trained]).toEqual([...all!.ids].map((_, i) => Number(i > 0)));
  });

  test('one that is too long is left out, not cut', () => {
    const pair = { question: 'word '.repeat(50), answer: 'x' };
    const length = examplesOf(pair).examples[0]!.ids.length;
    expect(examplesOf(pair, { maxTokens: length }).examples).toHaveLength(1);
    expect(encode(pair, { maxTokens: length - 1 })).toEqual({
      skip: `longer than data.maxTokens (${length - 1}); a prompt is not parted from its answer`,
    });
  });
});

describe('text', () => {
  test('of any length and limit: every token is learnt once, behind the one before it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b ', 'word ', '\n', 'é', '🙂', '12'), minLength: 1, maxLength: 60 }); // prettier-ignore
    fc.assert(
      fc.property(text, fc.integer({ min: 3, max: 40 }), (content, maxTokens) => {
        const whole = [...tiny.encode(content), tiny.eosId!];
        const { examples } = examplesOf({ text: content }, { maxTokens });
        expect(examples.flatMap(learnt)).toEqual(whole.slice(1));
        let at = 0; // of the last token learnt
        for (const example of examples) {
          expect(example.ids.length).toBeLessThanOrEqual(maxTokens);
          expect(example.ids[0]).toBe(tiny.bosId);
          const context = [...example.trained].indexOf(1);
          expect(example.ids[context - 1]).toBe(whole[at]);
          at += learnt(example).length;
        }
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  test('a limit without room for it is told', () => {
    expect(encode({ text: 'a b c d e' }, { maxTokens: 2 })).toMatchObject({ skip: /leaves no room/ });
    expect(examplesOf({ text: 'a', notes: ['mended'] }).notes).toEqual(['mended']);
  });
});

// An independent reading of what is to be learnt: the whole conversation as one string, tokenized whole, and of it the
// characters that stand between an assistant's header and the end of its turn.
function naive(messages: readonly ChatMessage[]) {
  let text = '<s>';
  const spans: [number, number][] = [];
  for (const { role, content } of messages) {
    text += `<|${role}|>\n`;
    const start = text.length;
    text += content;
    if (role === 'assistant') {
      text += '</s>';
      spans.push([start, text.length]);
    }
  }
  const ids = tiny.encode(text, { addSpecialTokens: false });
  // Where each token begins: how many characters the tokens before it come to.
  const starts = ids.map((_, i) => show(ids.slice(0, i)).length);
  expect(show(ids)).toBe(text);
  return { ids, trained: starts.map((start, i) => Number(i > 0 && spans.some(([a, b]) => start >= a && start < b))) };
}

const word = fc.constantFrom('apples', 'Tom', 'has', '3', '+', '4', '=', 'seven', 'x.', 'How many?', 'line\nbreak');
const content = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(' '));
const turn = (role: string) => content.map((text) => ({ role, content: text }));
const conversation = fc
  .tuple(fc.option(turn('system')), fc.array(fc.tuple(turn('user'), turn('assistant')), { minLength: 1, maxLength: 8 }))
  .map(([system, exchanges]) => [...(system === null ? [] : [system]), ...exchanges.flat()]);

describe('conversations', () => {
  test('token by token as the naive reading of the whole', () => {
    fc.assert(
      fc.property(conversation, (messages) => {
        const { examples } = examplesOf({ messages });
        expect(examples).toHaveLength(1);
        const expected = naive(messages);
        expect([...examples[0]!.ids]).toEqual(expected.ids);
        expect([...examples[0]!.trained]).toEqual(expected.trained);
      }),
      { numRuns: 150, seed: 2 },
    );
  });

  test('too long: in parts between exchanges, each as long as fits, with the system message before each', () => {
    fc.assert(
      fc.property(conversation, fc.integer({ min: 60, max: 140 }), (messages, maxTokens) => {
        const system = messages.filter(({ role }) => role === 'system');
        const turns = messages.slice(system.length);
        const exchanges = turns.flatMap((each, i) => (i % 2 === 0 ? [[each, turns[i + 1]!]] : []));
        const fits = (part: readonly ChatMessage[]) => naive([...system, ...part]).ids.length <= maxTokens;
        // Greedy, one exchange after another.
        const parts: ChatMessage[][] = [];
        let open = false;
        let left = 0;
        for (const exchange of exchanges) {
          if (!fits(exchange)) {
            left += 1;
            open = false;
          } else if (open && fits([...parts.at(-1)!, ...exchange])) parts.at(-1)!.push(...exchange);
          else {
            parts.push([...exchange]);
            open = true;
          }
        }
        const row = encode({ messages }, { maxTokens });
        if (parts.length === 0) {
          expect(row).toEqual({ skip: `every exchange is longer than data.maxTokens (${maxTokens})` });
          return;
        }
        if ('skip' in row) throw new Error(row.skip);
        const expected = parts.map((part) => naive([...system, ...part]));
        expect(row.examples.map(({ ids, trained }) => ({ ids: [...ids], trained: [...trained] }))).toEqual(expected);
        expect(row.notes).toEqual(left > 0 ? [`an exchange longer than data.maxTokens (${maxTokens}): left out`] : []);
      }),
      { numRuns: 150, seed: 3 },
    );
  });

  const long = (role: string, words: number) => ({ role, content: 'word '.repeat(words) });
  test("a tool's answer stays with the call; last turns without a reply are noted when they do not fit", () => {
    const messages = [
      ...[long('user', 5), long('assistant', 5), long('tool', 5), long('assistant', 5)],
      ...[long('user', 5), long('assistant', 10), long('user', 25)],
    ];
    const { examples, notes } = examplesOf({ messages }, { maxTokens: 75 });
    expect(
      examples.map(({ ids }) =>
        show(ids)
          .match(/<\|(\w+)\|>/g)!
          .join(''),
      ),
    ).toEqual(['<|user|><|assistant|><|tool|><|assistant|>', '<|user|><|assistant|>']);
    expect(notes).toEqual(['the last turns, which nothing answers, did not fit in: left out']);
  });

  test('without a turn of the assistant there is nothing to learn, unless everything is', () => {
    const messages = [{ role: 'user', content: 'Hi' }];
    expect(encode({ messages })).toMatchObject({ skip: /no text of the assistant/ });
    expect(encode({ messages: [long('user', 200)] }, { maxTokens: 50 })).toMatchObject({ skip: /every exchange/ });
    expect(examplesOf({ messages }, { loss: 'all' }).examples).toHaveLength(1);
  });

  test("a template's refusal is a reason, in its own words; one that cannot be parsed is no row's fault", () => {
    const folder = path.join(root, 'examples/models/tiny-mistral-gsm8k');
    const strict =
      "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
      "{{ raise_exception('Roles must alternate') }}{% endif %}[{{ m['content'] }}]{% endfor %}";
    const tokenizer = openTokenizer(folder, { chatTemplate: strict });
    const messages = [long('user', 1), long('user', 1)];
    expect(encode({ messages }, { tokenizer })).toEqual({
      skip: 'the chat template refuses it: Roles must alternate',
    });
    const broken = openTokenizer(folder, { chatTemplate: '{% if %}' });
    expect(() => broken.chatTemplate!.check()).toThrow(/cannot be parsed/);
  });
});
