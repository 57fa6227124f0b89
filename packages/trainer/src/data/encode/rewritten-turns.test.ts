import path from 'node:path';
import { openTokenizer, type ChatMessage } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import type { FilledText } from '../read-row.js';
import type { EncodeSettings } from './encode-settings.js';
import { createRowEncoder } from './row-encoder.js';

// Templates that write a turn differently once more messages follow, and templates that mark what the assistant writes.
// Counts and learnt texts are those of transformers 5.18 (apply_chat_template; its mask where the template has marks).
const folder = path.resolve(import.meta.dirname, '../../../../../examples/models/tiny-mistral-gsm8k');

const finalEos =
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] }}" +
  "{% if m['role'] == 'assistant' and loop.last %}{{ eos_token }}{% else %}{{ '\n' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
const systemLast =
  "{% if messages[0].role == 'system' %}{% set sys = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set sys = '' %}{% set rest = messages %}{% endif %}" +
  "{% set ns = namespace(n=-1) %}{% for m in rest %}{% if m.role == 'user' %}{% set ns.n = loop.index0 %}{% endif %}{% endfor %}" +
  "{{ bos_token }}{% for m in rest %}{% if m.role == 'user' %}{% if loop.index0 == ns.n and sys %}{{ '[INST] ' + sys + '\n\n' + m.content + '[/INST]' }}{% else %}{{ '[INST] ' + m.content + '[/INST]' }}{% endif %}" +
  "{% elif m.role == 'assistant' %}{% generation %}{{ ' ' + m.content + eos_token }}{% endgeneration %}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}";
const thinkPrompt =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% set said = m.content %}{% if '</think>' in said %}{% set said = said.split('</think>')[-1] %}{% endif %}{{ '<|assistant|>\n' + said + eos_token + '\n' }}" +
  "{% else %}{{ '<|' + m.role + '|>\n' + m.content + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n<think>\n' }}{% endif %}";
const firstRole =
  "{{ bos_token }}{% if messages[0]['role'] != 'system' %}{{ '<|system|>\nDefault.\n' }}{% endif %}" +
  "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

const system = { role: 'system', content: 'Be brief.' };
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const sums = [user('Add 1 and 1.'), assistant('Two.'), user('Add 2.'), assistant('Four.')];

type Settings = Partial<Pick<EncodeSettings, 'loss' | 'maxTokens' | 'rewrittenTurns'>>;
function encode(chatTemplate: string, row: Extract<FilledText, { messages: unknown }>, settings: Settings = {}) {
  const tokenizer = openTokenizer(folder, { chatTemplate });
  const defaults = {
    loss: 'assistant',
    maxTokens: 2048,
    rewrittenTurns: 'each',
    chatTemplate,
    date: undefined,
  } as const;
  const encoded = createRowEncoder(tokenizer, { ...defaults, ...settings })(row);
  if ('skip' in encoded) throw new Error(encoded.skip);
  const show = (ids: number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });
  return {
    notes: encoded.notes,
    examples: encoded.examples.map(({ ids, trained }) => ({
      tokens: ids.length,
      text: show([...ids]),
      learnt: show([...ids].filter((_, index) => trained[index] === 1)),
      count: trained.reduce((sum, flag) => sum + flag, 0),
      isWhole:
        show([...ids]) !== '' &&
        String([...ids]) === String(tokenizer.encode(show([...ids]), { addSpecialTokens: false })),
    })),
  };
}
const note = 'the chat template rewrites earlier turns: a conversation gives an example for each turn that it rewrites';

describe('a template that ends only the last turn', () => {
  test('each turn is learnt as it is written when it is the last', () => {
    const { examples, notes } = encode(finalEos, { messages: [system, ...sums] });
    expect(examples.map(({ text, learnt }) => [text, learnt])).toEqual([
      ['<s><|system|>\nBe brief.\n<|user|>\nAdd 1 and 1.\n<|assistant|>\nTwo.</s>', 'Two.</s>'],
      [
        '<s><|system|>\nBe brief.\n<|user|>\nAdd 1 and 1.\n<|assistant|>\nTwo.\n<|user|>\nAdd 2.\n<|assistant|>\nFour.</s>',
        'Four.</s>',
      ],
    ]);
    expect(examples.every(({ isWhole }) => isWhole)).toBe(true);
    expect(notes).toEqual([note]);
  });

  test.each([
    [45, [system, ...sums]],
    [35, sums],
  ])('or, if wanted, the last turn alone: %i tokens', (tokens, messages) => {
    const { examples, notes } = encode(finalEos, { messages }, { rewrittenTurns: 'last' });
    expect(examples).toMatchObject([{ tokens, learnt: 'Four.</s>' }]);
    expect(notes).toEqual([
      'the chat template rewrites earlier turns: only the last turns are learnt, as data.rewrittenTurns says',
    ]);
  });

  test('one turn is one example, of which nothing is reported', () => {
    for (const rewrittenTurns of ['each', 'last'] as const) {
      const { examples, notes } = encode(finalEos, { messages: sums.slice(0, 2) }, { rewrittenTurns });
      expect(examples).toMatchObject([{ learnt: 'Two.</s>' }]);
      expect(notes).toEqual([]);
    }
  });

  test('a turn that is context only gets no example', () => {
    const { examples } = encode(finalEos, { messages: sums, contextOnly: [1] });
    expect(examples).toMatchObject([{ tokens: 35, learnt: 'Four.</s>' }]);
    const first = encode(finalEos, { messages: sums, contextOnly: [3] });
    expect(first.examples.map(({ learnt }) => learnt)).toEqual(['Two.</s>']);
  });

  test('with loss "all" the whole is learnt, once', () => {
    const { examples, notes } = encode(finalEos, { messages: sums }, { loss: 'all' });
    expect(examples).toMatchObject([{ tokens: 35, count: 34 }]); // the first token has nothing before it
    expect(notes).toEqual([]);
    expect(() => encode(finalEos, { messages: sums, contextOnly: [1] }, { loss: 'all' })).toThrow(
      /context only has to stand in the text/,
    );
    const last = encode(finalEos, { messages: sums, contextOnly: [3] }, { loss: 'all' });
    expect(last.examples[0]!.learnt).not.toContain('Four.');
    expect(last.examples[0]!.learnt).toContain('Two.\n');
  });

  test('one that is too long is split, each part in examples of its own', () => {
    const long = [0, 1, 2].flatMap((each) => [user(`Add ${each}. ${'word '.repeat(20)}`), assistant(`It is ${each}.`)]);
    const whole = encode(finalEos, { messages: long }).examples;
    expect(whole.map(({ learnt }) => learnt)).toEqual(['It is 0.</s>', 'It is 1.</s>', 'It is 2.</s>']);
    const maxTokens = whole[1]!.tokens;
    const { examples } = encode(finalEos, { messages: [...long] }, { maxTokens });
    expect(examples.map(({ learnt }) => learnt)).toEqual(['It is 0.</s>', 'It is 1.</s>', 'It is 2.</s>']);
    expect(examples.every(({ tokens }) => tokens <= maxTokens)).toBe(true);
    expect(examples[2]!.text.startsWith('<s><|user|>\nAdd 2.')).toBe(true);
  });
});

test.each([
  [59, [system, ...sums]],
  [50, sums],
])('a template that marks what the assistant writes, and moves the system message: %i tokens', (tokens, messages) => {
  const { examples, notes } = encode(systemLast, { messages });
  expect(examples).toMatchObject([{ tokens, count: 8, learnt: ' Two.</s> Four.</s>', isWhole: true }]);
  expect(notes).toEqual([]);
});

test('of a template with marks, a turn that is context only is not learnt', () => {
  const { examples } = encode(systemLast, { messages: sums, contextOnly: [1] });
  expect(examples).toMatchObject([{ tokens: 50, count: 4, learnt: ' Four.</s>' }]);
});

test('a row of which a template with marks marks nothing is left out, with that reason', () => {
  const calls =
    "{{ bos_token }}{% for m in messages %}{% if m.tool_calls %}<call>{{ m.tool_calls | tojson }}{% elif m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}";
  const tool_calls = [{ type: 'function', function: { name: 'x', arguments: {} } }];
  const call = { role: 'assistant', content: '', tool_calls };
  expect(() => encode(calls, { messages: [user('Hi'), call] })).toThrow(
    /the chat template writes nothing that the assistant says, or has no {% generation %} block around it/,
  );
  const { examples } = encode(calls, { messages: [user('Hi'), call, assistant('Hello')] });
  expect(examples).toMatchObject([{ learnt: 'Hello' }]);
});

test.each([
  ['\n56</s>', user('7 times 8?'), assistant('<think>\nseven eights\n</think>\n56')],
  ['6</s>', user('2 times 3?'), assistant('6')],
])('a generation prompt that opens reasoning, which the turn does not keep: %j', (learnt, ...messages) => {
  const { examples, notes } = encode(thinkPrompt, { messages });
  expect(examples).toMatchObject([{ learnt, isWhole: true }]);
  expect(notes).toEqual([]);
});

test('a template that writes a system message of its own, and a conversation that the assistant begins', () => {
  const messages = [assistant('Welcome, traveller.'), user('Hi'), assistant('Sit down.')];
  const { examples, notes } = encode(firstRole, { messages });
  expect(examples).toMatchObject([{ tokens: 37, count: 15, learnt: 'Welcome, traveller.</s>Sit down.</s>' }]);
  expect(notes).toEqual([]);
});

describe('reasoning that is stripped from earlier turns', () => {
  const stripping =
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>\n' }}" +
    "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}" +
    "{{ eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

  test('is learnt where the model writes it, and stripped where it reads it', () => {
    const messages = [user('7x8?'), assistant('<think>Hm.</think>56'), user('+1?'), assistant('57'), user('Ok?')];
    const { examples } = encode(stripping, { messages });
    expect(examples.map(({ text, learnt }) => [text, learnt])).toEqual([
      ['<s><|user|>\n7x8?</s>\n<|assistant|>\n<think>Hm.</think>56</s>\n', '<think>Hm.</think>56</s>'],
      [
        '<s><|user|>\n7x8?</s>\n<|assistant|>\n56</s>\n<|user|>\n+1?</s>\n<|assistant|>\n57</s>\n<|user|>\nOk?</s>\n',
        '57</s>',
      ],
    ]);
  });

  test('a conversation without any is one example', () => {
    const { examples, notes } = encode(stripping, { messages: sums });
    expect(examples).toMatchObject([{ learnt: 'Two.</s>Four.</s>' }]);
    expect(notes).toEqual([]);
  });
});
