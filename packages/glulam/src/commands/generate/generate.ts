import { endingTurns, generateText, type EndReason, type SamplingOptions, type TokenIds } from '@glulam/model';
import { promptTokens, type FilledText } from '@glulam/trainer';
import { openCall } from '../../call.js';
import {
  checkOptions,
  flag,
  number,
  promptType,
  text,
  textRecord,
  texts,
  type OptionTypes,
} from '../../config/check-options.js';
import { askAs, promptFormOf } from '../../runs/run-prompt.js';
import { GlulamError } from '../../errors.js';
import {
  checkModel,
  isOpen,
  openChosen,
  openModelTypes,
  type ModelSource,
  type OpenedModel,
  type OpenModelOptions,
} from '../../models/open-model.js';

/** Options of `generate`. */
export interface GenerateOptions extends OpenModelOptions, SamplingOptions {
  /** The text to continue, or its token ids. Either this or `question` is given. */
  readonly prompt?: string | TokenIds | undefined;
  /**
   * A question, written as those that the model was trained on: into its prompt (`data.prompt`, or its data format's), or
   * as a user's turn into the chat template.
   */
  readonly question?: string | undefined;
  /** Beside `question`: other columns of that prompt, by their names. */
  readonly columns?: Readonly<Record<string, string>> | undefined;
  /** The prompt is a user's turn, a text, which the base's chat template renders; default: false. */
  readonly chat?: boolean | undefined;
  /** At most so many new tokens; default: 256. */
  readonly maxTokens?: number | undefined;
  /** The text ends before any of these, which are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

const optionTypes: OptionTypes<GenerateOptions> = {
  ...openModelTypes,
  prompt: promptType,
  question: text,
  columns: textRecord,
  chat: flag,
  maxTokens: number,
  temperature: number,
  topK: number,
  topP: number,
  seed: number,
  stop: texts,
};

/** Of `maxTokens`. */
export const defaultMaxTokens = 256;

/**
 * Continue a prompt, or answer a question: what `glulam generate` does. The text comes in pieces, as soon as they are
 * certain, and with `temperature` 0, the default, it is the likeliest token each time.
 *
 * @param model what names one, or one that `openModel` opened and that stays open: of many prompts only the first waits
 *   for it
 * @returns (as the generator's value) why the text ended: at an end token, at one of `stop`, or at its greatest length
 * @throws GlulamError USAGE for options that cannot be used, a question that nothing says how to ask, or a base without
 *   chat template; ModelError GENERATION_INVALID; what opening the model throws, each with a `code`; the signal's reason
 *   where it is aborted
 */
export async function* generate(
  model: ModelSource | OpenedModel,
  options: GenerateOptions,
): AsyncGenerator<string, EndReason> {
  checkOptions('generate', options, optionTypes, { example });
  checkModel('generate', model, options);
  const asked = textAsked(options);
  const { maxTokens = defaultMaxTokens, stop, temperature, topK, topP, seed } = options;
  const call = openCall(options);
  const { signal } = call;
  let opened: OpenedModel | undefined;
  try {
    signal.throwIfAborted();
    opened = isOpen(model) ? model : await openChosen(model, options, call, { data: false });
    const { decoder, tokenizer } = opened;
    const plain = { maxNewTokens: maxTokens, temperature, topK, topP, seed, stop, signal };
    const filled = typeof asked === 'function' ? await asked(opened) : asked;
    const isChat = 'messages' in filled;
    if (isChat && tokenizer.chatTemplate === undefined)
      throw new GlulamError(
        'USAGE',
        `the base has no chat template; ${options.chat === true ? 'leave chat out' : 'name one: --data.chatTemplate plain, or a file'}`,
      );
    const ids = 'ids' in filled ? filled.ids : promptTokens(tokenizer, filled);
    return yield* generateText(decoder, tokenizer, ids, isChat ? endingTurns(tokenizer, plain) : plain);
  } finally {
    if (opened !== model) await opened?.close();
    await call.end();
  }
}

const example = "generate('runs/mine', { question: 'What is 2 + 3?' }), or { prompt: 'Once upon a time' }";

type Asked = FilledText | { readonly ids: TokenIds };

/** What the options ask; of a question the model decides how it is written. */
function textAsked(options: GenerateOptions): Asked | ((model: OpenedModel) => Promise<FilledText>) {
  const { prompt, question, columns, chat = false } = options;
  const refuse = (message: string): GlulamError => new GlulamError('USAGE', message);
  if (question !== undefined && (prompt !== undefined || chat))
    throw refuse('generate: question is written as in training; prompt and chat exclude it');
  if (question === undefined && columns !== undefined)
    throw refuse('generate: columns belong to a question, and there is none; give question, or leave columns out');
  const given = question ?? prompt;
  if (given === undefined) throw refuse(`generate needs a question or a prompt: ${example}`);
  if (given.length === 0)
    throw refuse(
      `generate got ${question === undefined ? 'an empty prompt' : 'an empty question'}; expected ${example}`,
    );
  if (question !== undefined) return (model) => fillQuestion(model, question, columns ?? {});
  if (typeof given !== 'string') {
    if (chat)
      throw refuse('chat renders a text as a turn, and the prompt is token ids; give a text, or leave chat out');
    return { ids: given };
  }
  return chat ? { messages: [{ role: 'user', content: given }] } : { text: given };
}

async function fillQuestion(
  model: OpenedModel,
  question: string,
  columns: Readonly<Record<string, string>>,
): Promise<FilledText> {
  const form = await promptFormOf(model);
  if (form !== undefined) return askAs(form, question, columns);
  throw new GlulamError(
    'USAGE',
    `nothing says how the model was asked questions in training: name a run that was trained on questions or conversations, ` +
      `give the text as it is with --prompt, or say the form: --data.prompt '"Question: {question}\\nAnswer:"'`,
  );
}
