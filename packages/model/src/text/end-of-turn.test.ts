import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createChatTemplate } from './chat-template.js';
import { endingTurns, findEndOfTurn } from './end-of-turn.js';
import { openTokenizer } from './tokenizer.js';

const added = new Map([
  ...([
    ['</s>', 2],
    ['<|im_end|>', 7],
    ['<|im_end|>2', 8],
    ['<|user|>', 9],
    ['\n\n', 10],
  ] as const),
]);
const turn = (ending: string): string =>
  `{% for m in messages %}<|{{ m.role }}|>\n{{ m.content | trim }}${ending}{% endfor %}`;
const end = (source: string) => findEndOfTurn(createChatTemplate(source, { eos_token: '</s>' }), added);

describe('what ends a turn', () => {
  test.each<[string, string, object | undefined]>([
    ['an added token', turn('<|im_end|>\n'), { text: '<|im_end|>', id: 7 }],
    ['after white space', turn('\n<|im_end|>\n'), { text: '<|im_end|>', id: 7 }],
    ['after white space that is a token', turn('\n\n<|im_end|>'), { text: '<|im_end|>', id: 7 }],
    ['the longest that begins there', turn('<|im_end|>2'), { text: '<|im_end|>2', id: 8 }],
    ['the first of two', turn('<|im_end|>{{ eos_token }}'), { text: '<|im_end|>', id: 7 }],
    ['end of text', turn(' {{ eos_token }}'), { text: '</s>', id: 2 }],
    ['ordinary text', turn('<|end|>\n'), { text: '<|end|>', id: undefined }],
    ['with the line before it', turn('\n###\n\n'), { text: '\n###', id: undefined }],
    ['before end of text', turn('<|end|>{{ eos_token }}'), { text: '<|end|>', id: undefined }],
    [
      'only where another turn follows',
      turn('{% if not loop.last %}<|im_end|>{% endif %}\n'),
      { text: '<|im_end|>', id: 7 },
    ],
    ['the next turn alone', turn('\n'), { text: '<|user|>', id: 9 }],
    ['the next turn alone, ordinary text', turn('\n').replace('<|', '### ').replace('|>', ':'), undefined],
    ['no turn of an assistant', '{{ messages[0].content }}<|im_end|>', undefined],
    ['a template that refuses', "{{ raise_exception('no') }}", undefined],
  ])('%s', (_, source, expected) => expect(end(source)).toEqual(expected));
});

test('answers end there too, beside what ends them anyhow', () => {
  const folder = path.resolve(import.meta.dirname, '../../../../examples/models/tiny-mistral-gsm8k');
  const options = { maxNewTokens: 3, stop: ['x'] };
  expect(endingTurns(openTokenizer(folder), options)).toBe(options);
  const [ordinary, token] = ['<|end|>\n', '<unk>\n'].map((ending) =>
    openTokenizer(folder, { chatTemplate: turn(ending) }),
  );
  expect(endingTurns(ordinary!, options)).toEqual({ maxNewTokens: 3, stop: ['x', '<|end|>'] });
  const [unknown] = openTokenizer(folder).encode('<unk>', { addSpecialTokens: false });
  expect(endingTurns(token!, options)).toEqual({ ...options, endIds: [2, unknown] });
  expect(endingTurns(token!, { endIds: [5] })).toEqual({ endIds: [5, unknown] });
});
