import { createConversation, openTokenizer, type Conversation, type Decoder } from '@glulam/model';
import { openModel } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { tiny } from '../support/expanded.js';
import { tinyRun } from '../support/tiny.js';

async function open(maxPositions?: number) {
  const { config, composition } = tinyRun();
  const model = await openModel(config, composition);
  const passes: number[] = [];
  const { decoder } = model;
  const watched: Decoder = {
    ...decoder,
    spec: { ...decoder.spec, maxPositions: maxPositions ?? decoder.spec.maxPositions },
    forward(batch, options) {
      passes.push(batch.ids.length);
      return decoder.forward(batch, options);
    },
  };
  return { ...model, decoder: watched, passes, conversation: createConversation(watched, model.tokenizer) };
}

async function ask(conversation: Conversation, message: string, signal?: AbortSignal): Promise<string> {
  let text = '';
  for await (const piece of conversation.answer(message, { maxNewTokens: 12, signal })) text += piece;
  return text;
}

test('a turn processes what is new, and answers as a conversation that is told it all at once', async () => {
  const { conversation, passes, tokenizer, decoder, close } = await open();
  conversation.begin('You count apples.');
  const first = await ask(conversation, 'Tom has 3 apples and buys 4. How many has he?');
  passes.length = 0;
  const second = await ask(conversation, 'And if he eats one?');
  expect(conversation.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant']);
  expect(conversation.messages.map(({ content }) => content)).toEqual(
    expect.arrayContaining(['You count apples.', first, 'And if he eats one?', second]),
  );
  const whole = tokenizer.chatTemplate!.render(conversation.messages.slice(0, 4), { addGenerationPrompt: true });
  const all = tokenizer.encode(whole, { addSpecialTokens: false }).length;
  expect(passes[0]).toBeLessThan(all / 2);

  const other = createConversation(decoder, tokenizer);
  other.begin('You count apples.');
  await ask(other, 'Tom has 3 apples and buys 4. How many has he?');
  other.use(decoder);
  passes.length = 0;
  expect(await ask(other, 'And if he eats one?')).toBe(second);
  expect(passes[0]).toBe(all);
  conversation.begin(undefined);
  expect(conversation.messages).toEqual([]);
  for (const each of [conversation, other]) each.close();
  await close();
});

test('an answer that is cut off is kept as far as it came, a message without answer is not', async () => {
  const { conversation, close } = await open();
  const controller = new AbortController();
  const pieces = conversation.answer('Count to a hundred.', { maxNewTokens: 200, signal: controller.signal });
  const { value } = await pieces.next();
  controller.abort(new Error('stopped'));
  await expect(pieces.next()).rejects.toThrow('stopped');
  expect(conversation.messages).toEqual([
    { role: 'user', content: 'Count to a hundred.' },
    { role: 'assistant', content: value },
  ]);
  await expect(ask(conversation, 'More?', AbortSignal.abort(new Error('at once')))).rejects.toThrow('at once');
  expect(conversation.messages).toHaveLength(2);
  conversation.close();
  await close();
});

test('a conversation longer than the model’s positions is refused, and stays', async () => {
  const { conversation, close } = await open(64);
  await ask(conversation, 'What is 1 + 1?');
  await expect(ask(conversation, 'word '.repeat(80))).rejects.toMatchObject({
    code: 'GENERATION_INVALID',
    message: expect.stringMatching(/has \d+ tokens; the model has 64 positions, answer included/),
  });
  expect(conversation.messages).toHaveLength(2);
  conversation.close();
  await close();
});

test('without a chat template there is no conversation', async () => {
  const { decoder, close } = await open();
  const tokenizer = { ...openTokenizer(tiny), chatTemplate: undefined };
  expect(() => createConversation(decoder, tokenizer)).toThrow(/has no chat template/);
  await close();
});
