import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createChatTemplate, type ChatMessage } from './chat-template.js';
import { openTokenizer } from './tokenizer.js';

const folder = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const mistral = openTokenizer(folder('fixtures/tokenizers/mistral-7b-v0.1')).chatTemplate!;
const tiny = openTokenizer(folder('examples/models/tiny-mistral-gsm8k')).chatTemplate!;
const special = { bos_token: '<s>', eos_token: '</s>' };

const chatml = createChatTemplate(
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  { eos_token: '<|im_end|>' },
);

const turns: ChatMessage[] = [
  { role: 'user', content: 'hi' },
  { role: 'assistant', content: 'hello' },
  { role: 'user', content: 'bye' },
  { role: 'assistant', content: ' so long' },
];

describe('render', () => {
  it('renders the checkpoints’ own templates', () => {
    expect(mistral.render(turns)).toBe('<s>[INST] hi [/INST]hello</s>[INST] bye [/INST] so long</s>');
    expect(tiny.render(turns.slice(0, 3), { addGenerationPrompt: true })).toBe(
      '<s><|user|>\nhi<|assistant|>\nhello</s><|user|>\nbye<|assistant|>\n',
    );
  });

  it('gives templates what transformers gives: no tools, no documents, trimmed blocks', () => {
    const template = createChatTemplate(
      '{% if tools is none and documents is none %}\n  {% for m in messages %}\n{{ m.role | upper }}\n{% endfor %}\n{% endif %}{{ bos_token }}',
      special,
    );
    expect(template.render(turns.slice(0, 2))).toBe('USER\nASSISTANT\n<s>');
  });

  it('reports the template’s own refusal', () => {
    expect(() => mistral.render([{ role: 'assistant', content: 'x' }])).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_FAILED',
        message:
          "The model's chat template refuses a conversation of the roles assistant: " +
          'Conversation roles must alternate user/assistant/user/assistant/...',
      }),
    );
  });

  it('reports a template that cannot be parsed or run, when it is used', () => {
    const broken = createChatTemplate('{% for m in messages %}', special);
    expect(() => broken.render(turns)).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_FAILED',
        message: expect.stringContaining('cannot be parsed') as string,
        cause: expect.any(Error) as Error,
      }),
    );
    const failing = createChatTemplate('{{ messages[0].content.nothing() }}', special);
    expect(() => failing.render(turns)).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_FAILED',
        message: expect.stringContaining('fails on a conversation of the roles user, assistant') as string,
      }),
    );
  });
});

describe('renderLearnt', () => {
  it('marks content and end of turn, not headers or line ends behind them', () => {
    expect(tiny.renderLearnt(turns)[0]!.spans).toEqual([
      { text: '<s><|user|>\nhi<|assistant|>\n', trained: false },
      { text: 'hello</s>', trained: true },
      { text: '<|user|>\nbye<|assistant|>\n', trained: false },
      { text: ' so long</s>', trained: true },
    ]);
    expect(chatml.renderLearnt(turns)[0]!.spans).toEqual([
      { text: '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n', trained: false },
      { text: 'hello<|im_end|>', trained: true },
      { text: '\n<|im_start|>user\nbye<|im_end|>\n<|im_start|>assistant\n', trained: false },
      { text: ' so long<|im_end|>', trained: true },
      { text: '\n', trained: false },
    ]);
    expect(mistral.renderLearnt(turns)[0]!.spans).toEqual([
      { text: '<s>[INST] hi [/INST]', trained: false },
      { text: 'hello</s>', trained: true },
      { text: '[INST] bye [/INST]', trained: false },
      { text: ' so long</s>', trained: true },
    ]);
  });

  it('leaves turns out of what is trained, and gives tools to the template', () => {
    const isTrained = (index: number) => index === 3;
    expect(tiny.renderLearnt(turns, { isTrained })[0]!.spans.filter(({ trained }) => trained)).toEqual([
      { text: ' so long</s>', trained: true },
    ]);
    expect(tiny.renderLearnt(turns, { isTrained: () => false })[0]!.spans).toEqual([
      { text: tiny.render(turns), trained: false },
    ]);
    const tools = [{ name: 'add' }];
    const listing = createChatTemplate(
      '{{ tools | tojson }}{% for m in messages %}[{{ m.content }}]{% endfor %}',
      special,
    );
    expect(listing.render(turns.slice(0, 1), { tools })).toBe('[{"name": "add"}][hi]');
    expect(listing.renderLearnt(turns.slice(0, 2), { tools })[0]!.spans.map(({ text }) => text)).toEqual([
      '[{"name": "add"}][hi]',
      '[hello]',
    ]);
  });

  it('gives the rendered text, and no trained part without an assistant', () => {
    for (const count of [1, 2, 3, 4]) {
      const spans = tiny.renderLearnt(turns.slice(0, count))[0]!.spans;
      expect(spans.map((span) => span.text).join('')).toBe(tiny.render(turns.slice(0, count)));
      expect(spans.filter((span) => span.trained)).toHaveLength(Math.floor(count / 2));
    }
  });

  it('keeps white space at the end of a turn that no end token closes', () => {
    const plain = createChatTemplate('{% for m in messages %}{{ m.content }}\n{% endfor %}', special);
    expect(plain.renderLearnt(turns.slice(0, 2))[0]!.spans).toEqual([
      { text: 'hi\n', trained: false },
      { text: 'hello\n', trained: true },
    ]);
  });

  it('gives a text for each turn that the template writes differently once more messages follow', () => {
    const template = createChatTemplate(
      "{% for m in messages %}{{ m.role }}:{% if m.role == 'user' or loop.last %}{{ m.content }}{% endif %}\n{% endfor %}",
      special,
    );
    const learnt = template.renderLearnt(turns).map(({ spans }) => spans.filter(({ trained }) => trained));
    expect(learnt.map((spans) => spans.map(({ text }) => text))).toEqual([['assistant:hello'], ['assistant: so long']]);
  });

  it('takes the marks of a template that marks what the assistant writes', () => {
    const marking = createChatTemplate(
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}|{% endfor %}",
      special,
    );
    expect(marking.renderLearnt(turns)).toEqual([
      {
        spans: [
          { text: 'hi|', trained: false },
          { text: 'hello', trained: true },
          { text: '|bye|', trained: false },
          { text: ' so long', trained: true },
          { text: '|', trained: false },
        ],
      },
    ]);
  });
});
