import { Template } from '@huggingface/jinja';
import { ModelError } from './errors.js';

/**
 * One turn of a conversation. `role` is any that the template knows: 'system', 'user', 'assistant', ... `content` is a
 * text, or what else the template takes (a list of parts, null beside calls of tools). Other keys (`tool_calls`,
 * `reasoning_content`, `name`, ...) are the template's to show.
 */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface RenderOptions {
  /** Open the assistant's next turn; default false. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** What the assistant may call, as JSON schemas; default none. */
  readonly tools?: readonly unknown[] | undefined;
}

export interface MaskOptions extends Pick<RenderOptions, 'tools'> {
  /** Whether a turn of the assistant is learnt, by its index; default: each is. */
  readonly isTrained?: ((index: number) => boolean) | undefined;
}

/** A piece of text, and whether the model is trained to write it. */
export interface TextSpan {
  readonly text: string;
  readonly trained: boolean;
}

/** The tokens' texts by the names that templates use: `bos_token`, `eos_token`, `unk_token`, `pad_token`, ... */
export type SpecialTokens = Readonly<Record<string, string>>;

export interface ChatTemplate {
  /** The Jinja source. */
  readonly source: string;
  /**
   * Parses the template, which else waits for its first use.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED
   */
  check(): void;
  /**
   * The conversation as the model is to read it. Templates write the beginning-of-text token themselves: encode the
   * result with `addSpecialTokens: false`.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED with the template's own words
   */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
  /**
   * The same text in pieces, those the assistant is to write marked: its turns' content and end-of-turn token, not
   * the header that the generation prompt gives it.
   *
   * A turn is what `render` adds to the generation prompt before it, so any template works whose text of a
   * conversation begins with its text of the conversation so far.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED if the template rewrites earlier turns or refuses the conversation
   */
  renderWithMask(messages: readonly ChatMessage[], options?: MaskOptions): TextSpan[];
}

/**
 * A Hugging Face chat template (Jinja, as `transformers.apply_chat_template` renders it, without documents).
 * It is parsed when first used: a model whose template cannot be read still runs on plain text.
 */
export function createChatTemplate(source: string, specialTokens: SpecialTokens): ChatTemplate {
  let template: Template | undefined;

  const parsed = (): Template => {
    try {
      return (template ??= new Template(source));
    } catch (error) {
      throw failed('cannot be parsed', error);
    }
  };

  const render: ChatTemplate['render'] = (messages, { addGenerationPrompt = false, tools } = {}) => {
    const parsedTemplate = parsed();
    try {
      return parsedTemplate.render({
        ...specialTokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
        tools: tools ?? null,
        documents: null,
      });
    } catch (error) {
      // The template's own refusals (raise_exception) arrive here too, as errors with its words.
      throw failed(`refuses a conversation of the roles ${roles(messages)}`, error);
    }
  };

  const renderWithMask: ChatTemplate['renderWithMask'] = (messages, { tools, isTrained = () => true } = {}) => {
    const whole = render(messages, { tools });
    const spans: TextSpan[] = [];
    let done = 0;
    const add = (end: number, trained: boolean): void => {
      if (end > done) spans.push({ text: whole.slice(done, end), trained });
      done = Math.max(done, end);
    };
    messages.forEach((message, index) => {
      if (message.role !== 'assistant' || !isTrained(index)) return;
      const prompt = render(messages.slice(0, index), { addGenerationPrompt: true, tools });
      const turn = render(messages.slice(0, index + 1), { tools });
      if (!turn.startsWith(prompt) || !whole.startsWith(turn)) throw rewrites(index, turn.startsWith(prompt));
      add(prompt.length, false);
      add(prompt.length + written(turn.slice(prompt.length), specialTokens['eos_token']), true);
    });
    add(whole.length, false);
    return spans;
  };

  return { source, check: () => void parsed(), render, renderWithMask };
}

function failed(what: string, cause: unknown): ModelError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new ModelError('CHAT_TEMPLATE_FAILED', `The model's chat template ${what}: ${words}`, { cause });
}

/** How much of a turn the model writes: not the white space that templates put behind the end-of-turn token. */
function written(turn: string, eos: string | undefined): number {
  const trimmed = turn.trimEnd();
  return eos !== undefined && trimmed.endsWith(eos) ? trimmed.length : turn.length;
}

function roles(messages: readonly ChatMessage[]): string {
  return messages.length === 0 ? 'none' : messages.map(({ role }) => role).join(', ');
}

function rewrites(index: number, afterwards: boolean): ModelError {
  const what = afterwards
    ? `message ${index} (assistant) reads otherwise when more messages follow it`
    : `message ${index} (assistant) does not continue the generation prompt before it`;
  return new ModelError(
    'CHAT_TEMPLATE_FAILED',
    `The model's chat template rewrites earlier turns: ${what}, so the text of the assistant's turns cannot be told ` +
      'from the rest. Give conversations with one assistant message, train on the whole text, or use a template whose ' +
      'text only grows.',
  );
}
