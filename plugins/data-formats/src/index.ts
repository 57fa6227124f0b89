import { definePlugin, type Plugin } from '@glulam/plugin';
import { dataFormats as point, type DataFormat } from '@glulam/trainer';
import { messagesFormat } from './messages.js';
import { orcaChatFormat } from './orca-chat.js';
import { promptCompletionFormat } from './prompt-completion.js';
import { questionAnswerFormat } from './question-answer.js';
import { shareGptFormat } from './sharegpt.js';
import { textFormat } from './text.js';

export { messagesFormat, orcaChatFormat, promptCompletionFormat, questionAnswerFormat, shareGptFormat, textFormat };

// Where rows fit several, the first is taken: conversations say more than a text made of them in another column.
const formats = [
  messagesFormat,
  shareGptFormat,
  orcaChatFormat,
  questionAnswerFormat,
  promptCompletionFormat,
  textFormat,
] as readonly DataFormat[];

/** The plugin: the formats of common data sets. */
export const dataFormats = (): Plugin =>
  definePlugin({
    name: '@glulam/data-formats',
    register(registry) {
      for (const format of formats) registry.contribute(point, { create: () => format });
    },
  });
