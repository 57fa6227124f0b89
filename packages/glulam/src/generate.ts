import { endingTurns, generateText, type EndReason, type SamplingOptions, type TokenIds } from '@glulam/model';
import { openCall } from './call.js';
import { GlulamError } from './errors.js';
import { isOpen } from './evaluate.js';
import { openChosen, type ModelSource, type OpenedModel, type OpenModelOptions } from './open-model.js';

/** Options of `generate`. */
export interface GenerateOptions extends OpenModelOptions, SamplingOptions {
  /** The text to continue, or its token ids. */
  readonly prompt: string | TokenIds;
  /** The prompt is a user's turn, a text, which the base's chat template renders; default: false. */
  readonly chat?: boolean | undefined;
  /** At most so many new tokens; default: 256. */
  readonly maxTokens?: number | undefined;
  /** The text ends before any of these, which are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

/**
 * Continue a prompt: what `glulam generate` does. The text comes in pieces, as soon as they are certain, and with
 * `temperature` 0, the default, it is the likeliest token each time.
 *
 * @param model what names one, or one that `openModel` opened and that stays open: of many prompts only the first waits
 *   for it
 * @returns (as the generator's value) why the text ended: at an end token, at one of `stop`, or at its greatest length
 * @throws GlulamError USAGE for an empty prompt or a base without chat template; ModelError GENERATION_INVALID; what
 *   opening the model throws, each with a `code`; the signal's reason where it is aborted
 */
export async function* generate(
  model: ModelSource | OpenedModel,
  options: GenerateOptions,
): AsyncGenerator<string, EndReason> {
  const { prompt, chat = false, maxTokens = 256, stop, temperature, topK, topP, seed } = options;
  if (prompt.length === 0)
    throw new GlulamError('USAGE', 'generate needs a text to continue, such as "Question: ..."; got an empty prompt');
  const call = openCall(options);
  const { signal } = call;
  let opened: OpenedModel | undefined;
  try {
    signal.throwIfAborted();
    opened = isOpen(model) ? model : await openChosen(model, options, call, { data: false });
    const { decoder, tokenizer } = opened;
    const plain = { maxNewTokens: maxTokens, temperature, topK, topP, seed, stop, signal };
    const ids = chat ? renderTurn(opened, prompt) : typeof prompt === 'string' ? tokenizer.encode(prompt) : prompt;
    return yield* generateText(decoder, tokenizer, ids, chat ? endingTurns(tokenizer, plain) : plain);
  } finally {
    if (opened !== model) await opened?.close();
    call.close();
  }
}

function renderTurn({ tokenizer }: OpenedModel, prompt: string | TokenIds): TokenIds {
  const { chatTemplate } = tokenizer;
  if (typeof prompt !== 'string')
    throw new GlulamError('USAGE', 'chat renders a text as a turn, and the prompt is token ids; give a text, or leave chat out'); // prettier-ignore
  if (chatTemplate === undefined) throw new GlulamError('USAGE', 'the base has no chat template; leave --chat out');
  const text = chatTemplate.render([{ role: 'user', content: prompt }], { addGenerationPrompt: true });
  return tokenizer.encode(text, { addSpecialTokens: false });
}
