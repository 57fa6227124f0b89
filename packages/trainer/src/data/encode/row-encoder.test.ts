import path from 'node:path';
import { openTokenizer, type ChatMessage, type Tokenizer } from '@glulam/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Example } from '../../step/batches.js';
import type { FilledText } from '../read-row.js';
import { parseJson } from '../rows/parse-json.js';
import type { EncodeSettings } from './encode-settings.js';
import { createRowEncoder } from './row-encoder.js';

const root = path.resolve(import.meta.dirname, '../../../../..');
const tiny = openTokenizer(path.join(root, 'examples/models/tiny-mistral-gsm8k'));

function encode(
  text: FilledText,
  changes: Partial<Pick<EncodeSettings, 'loss' | 'maxTokens' | 'rewrittenTurns'>> & { tokenizer?: Tokenizer } = {},
) {
  const { tokenizer = tiny, maxTokens = 2048, loss = 'assistant', rewrittenTurns = 'each' } = changes;
  const chatTemplate = tokenizer.chatTemplate?.source;
  return createRowEncoder(tokenizer, { loss, maxTokens, rewrittenTurns, chatTemplate, date: undefined })(text);
}
function examplesOf(...args: Parameters<typeof encode>) {
  const row = encode(...args);
  if ('skip' in row) throw new Error(row.skip);
  return row;
}
const learnt = ({ ids, trained }: Example) => [...ids].filter((_, i) => trained[i] === 1);
const show = (ids: Iterable<number>) => tiny.decode([...ids], { skipSpecialTokens: false });

describe('pairs', () => {
  test('a question with its answer: the answer and the end learnt', () => {
    const { examples, notes } = examplesOf({ prompt: 'Question: One $& two?\nAnswer:', completion: ' Three $1.' });
    const text = 'Question: One $& two?\nAnswer: Three $1.';
    expect([...examples[0]!.ids]).toEqual([...tiny.encode(text), tiny.eosId]);
    expect(learnt(examples[0]!)).toEqual([
      ...tiny.encode(text).slice(tiny.encode('Question: One $& two?\nAnswer:').length),
      tiny.eosId,
    ]);
    expect(notes).toEqual([]);
  });

  test('an end token that the model has no embedding for is refused', () => {
    const tokenizer = { ...tiny, embeddingRows: tiny.eosId! };
    const row = { prompt: 'One?', completion: ' Two.' };
    expect(() => encode(row, { tokenizer })).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_MISMATCH',
        message: expect.stringMatching(/end with eos_token \(id 2\).* has 2 rows/) as string,
      }) as Error,
    );
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
    const pair = { prompt: 'word '.repeat(50), completion: 'x' };
    const length = examplesOf(pair).examples[0]!.ids.length;
    expect(examplesOf(pair, { maxTokens: length }).examples).toHaveLength(1);
    expect(encode(pair, { maxTokens: length - 1 })).toEqual({
      skip: `longer than data.maxTokens (${length - 1}); a prompt is not parted from its answer`,
    });
  });
});

describe('text', () => {
  test('of any length and limit: every token is learnt once, behind the one before it', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b ', 'word ', '\n', 'é', '🙂', '12'),
      minLength: 1,
      maxLength: 60,
    });
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
    text += content as string;
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
    expect(encode({ messages })).toMatchObject({ skip: /no text of the assistant, the roles are user/ });
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

// The texts are those of transformers 5.18: apply_chat_template(messages, tools=[tool]).
describe('what a template is given', () => {
  const folder = path.join(root, 'examples/models/tiny-mistral-gsm8k');
  const withTemplate = (chatTemplate: string) => openTokenizer(folder, { chatTemplate });
  const showing = withTemplate(
    '{{ bos_token }}{% if tools %}<|system|>\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}' +
      '{% for m in messages %}<|{{ m.role }}|>\n' +
      '{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}' +
      '{% if m.name %}{{ m.name }}: {% endif %}' +
      '{% if m.content is string %}{{ m.content }}{% elif m.content is iterable and m.content is not mapping %}{% for p in m.content %}{{ p.text }}{% endfor %}{% elif m.content %}{{ m.content | tojson }}{% endif %}' +
      '{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} {{ c.function.arguments | tojson }}</call>{% endfor %}' +
      "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}" +
      '{% if add_generation_prompt %}<|assistant|>\n{% endif %}',
  );
  const parameters = { type: 'object', properties: { city: { type: 'string' } } };
  const tool = { type: 'function', function: { name: 'weather', parameters } };
  const tool_calls = [{ id: 'c', type: 'function', function: { name: 'weather', arguments: { city: 'Bern' } } }];
  const user = { role: 'user', content: 'Hi' };
  const assistant = { role: 'assistant', content: 'Hello' };
  const messages = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Weather ' },
        { type: 'text', text: 'in Bern?' },
      ],
    },
    { role: 'assistant', content: null, reasoning_content: 'I call.', tool_calls },
    { role: 'tool', tool_call_id: 'c', name: 'weather', content: { sky: 'clear' } },
    { role: 'assistant', content: 'Clear.' },
  ];
  const rendered =
    '<|user|>\nWeather in Bern?<|assistant|>\n<think>I call.</think><call>weather {"city": "Bern"}</call></s>' +
    '<|tool|>\nweather: {"sky": "clear"}<|assistant|>\nClear.</s>';
  const toolText =
    '<|system|>\n{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}\n';

  test('whole turns and tools, as transformers renders them; what is called is learnt', () => {
    const { examples, notes } = examplesOf({ messages, tools: [tool] }, { tokenizer: showing });
    expect([...examples[0]!.ids]).toEqual(tiny.encode(`<s>${toolText}${rendered}`, { addSpecialTokens: false }));
    expect(show(learnt(examples[0]!))).toBe(
      '<think>I call.</think><call>weather {"city": "Bern"}</call></s>Clear.</s>',
    );
    expect(notes).toEqual(['the chat template does not show "tool_call_id" of a turn']);
    const [without] = examplesOf({ messages }, { tokenizer: showing }).examples;
    expect([...without!.ids]).toEqual(tiny.encode(`<s>${rendered}`, { addSpecialTokens: false }));
  });

  test('tools stand before each part of a conversation that is split', () => {
    const turns = Array.from({ length: 6 }, () => [user, assistant]).flat();
    const { examples } = examplesOf({ messages: turns, tools: [tool] }, { tokenizer: showing, maxTokens: 120 });
    expect(examples.length).toBeGreaterThan(1);
    for (const { ids } of examples) expect(show(ids).startsWith(`<s>${toolText}`)).toBe(true);
  });

  test.each([
    ['a key', { messages: [{ ...user, name: 'Ann' }, assistant] }, 'the chat template does not show "name" of a turn'],
    ['tools', { messages: [user, assistant], tools: [tool] }, 'the chat template does not show "tools"'],
    [
      'a reasoning beside a text',
      { messages: [user, { ...assistant, reasoning_content: 'x' }] },
      'the chat template does not show "reasoning_content" of a turn',
    ],
  ])('%s that a template does not show is noted', (_, text, note) => {
    expect(examplesOf(text).notes).toEqual([note]);
    expect(examplesOf(text).examples).toEqual(examplesOf({ messages: [user, assistant] }).examples);
  });

  test('empty keys and no tools are nothing that could be missing', () => {
    const nothing = { name: null, tool_calls: [], reasoning_content: '' };
    expect(
      examplesOf({
        messages: [
          { ...user, ...nothing },
          { ...assistant, ...nothing },
        ],
        tools: [],
      }).notes,
    ).toEqual([]);
  });

  test('turns of a role that a template does not show are noted', () => {
    const chat =
      "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}[{{ m.content }}]{% endif %}{% endfor %}";
    const text = { messages: [{ role: 'system', content: 'Be brief.' }, user, assistant] };
    const note = 'the chat template does not show turns of the role system';
    expect(examplesOf(text, { tokenizer: withTemplate(chat) }).notes).toEqual([note]);
  });

  test.each([
    [
      'calls, whatever text stands beside them',
      { ...assistant, tool_calls },
      /calls a tool \(tool_calls or function_call\)/,
    ],
    ['a call of the earlier kind', { role: 'assistant', content: '', function_call: { name: 'x' } }, /calls a tool/],
    [
      'a turn that is nothing else',
      { role: 'assistant', content: null, reasoning_content: 'x' },
      /no text but "reasoning_content"/,
    ],
  ])('%s: refused where the template does not show it', (_, turn, reason) => {
    expect(encode({ messages: [user, turn, user, assistant] })).toEqual({
      skip: expect.stringMatching(reason) as string,
    });
  });

  test('one part of text is the text, for a template that takes no parts; several are refused', () => {
    const part = (text: string) => [{ type: 'text', text }];
    const parts = {
      messages: [
        { role: 'user', content: part('Hi') },
        { role: 'assistant', content: part('Hello') },
      ],
    };
    expect(examplesOf(parts)).toEqual(examplesOf({ messages: [user, assistant] }));
    const two = { messages: [{ role: 'user', content: [...part('a'), ...part('b')] }, assistant] };
    expect(encode(two)).toMatchObject({ skip: /a list of several parts/ });
  });

  const both = [user, { role: 'assistant', content: 'Bad' }, user, assistant];
  test('turns that are context only are there and not learnt', () => {
    const whole = examplesOf({ messages: both }).examples[0]!;
    expect(show(learnt(whole))).toBe('Bad</s>Hello</s>');
    const [example] = examplesOf({ messages: both, contextOnly: [1] }).examples;
    expect(example!.ids).toEqual(whole.ids);
    expect(show(learnt(example!))).toBe('Hello</s>');
    const [all] = examplesOf({ messages: both, contextOnly: [1] }, { loss: 'all' }).examples;
    expect(all!.ids).toEqual(whole.ids);
    expect(show(learnt(all!))).toBe('<|user|>\nHi<|assistant|>\n<|user|>\nHi<|assistant|>\nHello</s>');
    expect(encode({ messages: both, contextOnly: [1, 3] })).toMatchObject({
      skip: /turns of the assistant are context only/,
    });
  });

  test('and stay so in the parts of a long conversation', () => {
    const turns = [0, 1, 2, 3].flatMap((i) => [
      user,
      { role: 'assistant', content: i % 2 ? 'Good '.repeat(9) : 'Bad '.repeat(9) },
    ]);
    const { examples } = examplesOf({ messages: turns, contextOnly: [1, 5] }, { maxTokens: 80 });
    expect(examples.length).toBeGreaterThan(1);
    expect(examples.map((example) => show(learnt(example))).join('')).not.toContain('Bad');
  });

  test('a beginning-of-text token that stands there twice is noted', () => {
    const raw = withTemplate('{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}');
    const text = { messages: [{ role: 'user', content: '<s>Hi' }, assistant] };
    expect(examplesOf(text, { tokenizer: raw }).notes).toEqual(['it begins with two beginning-of-text tokens']);
  });
});

test('text that begins with the beginning-of-text token, or ends with the end, has it once', () => {
  const pair = { prompt: '<s><|user|>\nHi\n<|assistant|>\n', completion: 'Hello</s>' };
  const whole = tiny.encode(pair.prompt + pair.completion, { addSpecialTokens: false });
  const [example] = examplesOf(pair).examples;
  expect([...example!.ids]).toEqual(whole);
  expect(show(learnt(example!))).toBe('Hello</s>');
  const [text] = examplesOf({ text: pair.prompt + pair.completion }).examples;
  expect([...text!.ids]).toEqual(whole);
  expect(learnt(text!)).toEqual(whole.slice(1));
  // Parts of a long one begin with it as well.
  const { examples } = examplesOf({ text: `<s>${'word '.repeat(60)}` }, { maxTokens: 20 });
  for (const { ids } of examples) expect([ids[0], ids[1] === tiny.bosId]).toEqual([tiny.bosId, false]);
});

// The text is transformers' 5.18 of json.loads of the row: apply_chat_template(messages, tools=tools).
test('numbers and the order of keys are those of the row, in a worker too', () => {
  const source =
    "{{ tools | tojson }}|{{ tools }}\n{% for m in messages %}{% if m.role == 'assistant' %}{{ m.tool_calls[0].function.arguments }}|" +
    '{{ m.tool_calls[0].function.arguments | tojson }}</s>{% else %}[{{ m.content }}]{% endif %}{% endfor %}';
  const tokenizer = openTokenizer(path.join(root, 'examples/models/tiny-mistral-gsm8k'), { chatTemplate: source });
  const row = parseJson(
    '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"","tool_calls":[{"function":{"arguments":' +
      '{"a":1.0,"b":9007199254740993,"10":1,"9":[2.0,-0.0,-0,1e3,1e22,1E400,0.00001,0.1,123456789012345678901234567890],"c":{"2":"x","1":1.5}}}}]}],' +
      '"tools":[{"x":{"default":1.0,"maximum":9007199254740993},"1":{"k":1},"0":{"k":2}}]}',
  ) as FilledText;
  const text =
    '[{"x": {"default": 1.0, "maximum": 9007199254740993}, "1": {"k": 1}, "0": {"k": 2}}]|' +
    "[{'x': {'default': 1.0, 'maximum': 9007199254740993}, '1': {'k': 1}, '0': {'k': 2}}]\n[Hi]" +
    "{'a': 1.0, 'b': 9007199254740993, '10': 1, '9': [2.0, -0.0, 0, 1000.0, 1e+22, inf, 1e-05, 0.1, 123456789012345678901234567890], 'c': {'2': 'x', '1': 1.5}}|" +
    '{"a": 1.0, "b": 9007199254740993, "10": 1, "9": [2.0, -0.0, 0, 1000.0, 1e+22, Infinity, 1e-05, 0.1, 123456789012345678901234567890], "c": {"2": "x", "1": 1.5}}</s>';
  for (const each of [row, structuredClone(row)]) {
    const { examples } = examplesOf(each, { tokenizer });
    expect([...examples[0]!.ids]).toEqual([...tiny.encode(text, { addSpecialTokens: false })]);
  }
  // Nor does cutting it stumble over them.
  expect(encode(row, { tokenizer, maxTokens: 20 })).toEqual({
    skip: 'every exchange is longer than data.maxTokens (20)',
  });
});
