import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { dataFormats as point, type DataFormat } from '@glulam/trainer';
import { alpacaFormat, type AlpacaOptions } from './alpaca.js';
import { messagesFormat, type MessagesOptions } from './messages.js';
import { orcaChatFormat, type OrcaChatOptions } from './orca-chat.js';
import { withoutUnwanted } from './preference.js';
import { promptCompletionFormat, type PromptCompletionOptions } from './prompt-completion.js';
import { questionAnswerFormat, type QuestionAnswerOptions } from './question-answer.js';
import { shareGptFormat, type ShareGptOptions } from './sharegpt.js';
import { textFormat, type TextOptions } from './text.js';

export {
  alpacaFormat,
  messagesFormat,
  orcaChatFormat,
  promptCompletionFormat,
  questionAnswerFormat,
  shareGptFormat,
  textFormat,
};

// Where rows fit several, the first is taken: conversations say more than a text made of them in another column.
const formats = [
  messagesFormat,
  shareGptFormat,
  orcaChatFormat,
  alpacaFormat,
  questionAnswerFormat,
  promptCompletionFormat,
  textFormat,
] as readonly DataFormat[];

type Offers =
  | Offer<'format', 'messages', MessagesOptions>
  | Offer<'format', 'sharegpt', ShareGptOptions>
  | Offer<'format', 'orca_chat', OrcaChatOptions>
  | Offer<'format', 'alpaca', AlpacaOptions>
  | Offer<'format', 'question_answer', QuestionAnswerOptions>
  | Offer<'format', 'prompt_completion', PromptCompletionOptions>
  | Offer<'format', 'text', TextOptions>;

/** The plugin: the formats of common data sets. */
export const dataFormats = (): Plugin<Offers> =>
  definePlugin({
    name: '@glulam/data-formats',
    contract: 2,
    register(registry) {
      for (const format of formats) registry.contribute(point, { create: () => withoutUnwanted(format) });
    },
  });
