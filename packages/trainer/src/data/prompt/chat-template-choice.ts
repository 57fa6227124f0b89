import { readTextFile } from '@glulam/files';
import { documentsOf, openTokenizer, readCheckpointConfig, type DocumentsOf, type Tokenizer } from '@glulam/model';
import { configError } from '../../config/choices.js';
import type { RunConfig } from '../../config/config.js';
import { noteDate, parseDate, today } from './run-date.js';

/**
 * `data.chatTemplate: 'plain'`: a line a turn, headed by its role, as base models have met in their training text. Only
 * the assistant's turns end with the end-of-text token, so generation stops there.
 */
const plain =
  "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}" +
  '{% if add_generation_prompt %}Assistant:{% endif %}';

/** Whether `data.chatTemplate` names a file: it is neither Jinja source nor `plain`. */
export function isTemplateFile(choice: string): boolean {
  return choice !== 'plain' && !/\{[{%]/.test(choice);
}

/** What a base's config.json says, if it is there: data is read before the model, and without it. */
function vocabularySizeOf(base: DocumentsOf): number | undefined {
  const documents = documentsOf(base);
  if (!documents.has('config.json')) return undefined;
  const size = readCheckpointConfig(documents).fields['vocab_size'];
  return Number.isSafeInteger(size) ? (size as number) : undefined;
}

/**
 * The tokenizer of a run: the base's, with the chat template that the config chooses. A template that shows the date
 * shows that of the config, or today's with a warning that says so.
 *
 * @param documents the base's
 * @param vocabularySize rows of the model's embedding, where the model has been described; default: as config.json says
 * @throws TrainerError CONFIG_INVALID where the template cannot be used; ModelError as `openTokenizer`
 */
export function openRunTokenizer(
  config: RunConfig,
  documents: DocumentsOf,
  vocabularySize: number | undefined = vocabularySizeOf(documents),
): Tokenizer {
  const { chatTemplate: choice, date } = config.data;
  const now = (date === undefined ? undefined : parseDate(date)) ?? today();
  const chatTemplate = choice === undefined ? undefined : readTemplate(choice);
  const tokenizer = openTokenizer(documents, { vocabularySize, chatTemplate, now });
  try {
    if (choice !== undefined) tokenizer.chatTemplate!.check();
  } catch (error) {
    throw configError([`data.chatTemplate: ${(error as Error).message}`]);
  }
  const note = noteDate(config, tokenizer);
  return note === undefined ? tokenizer : { ...tokenizer, warnings: [...tokenizer.warnings, note] };
}

function readTemplate(choice: string): string {
  if (choice === 'plain') return plain;
  if (!isTemplateFile(choice)) return choice;
  try {
    return readTextFile(choice);
  } catch (error) {
    throw configError([
      `data.chatTemplate is read as the name of a file, for it holds no {{ or {%: ${(error as Error).message}; expected Jinja source, a file of it, or plain`,
    ]);
  }
}
