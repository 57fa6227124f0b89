import { ModelError } from './errors.js';
import { createJinjaTemplate, type JinjaTemplate, type RenderedTemplate } from './jinja/template.js';

/** One turn of a conversation. `role` is any that the template knows: 'system', 'user', 'assistant', ... */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** A piece of text, and whether the model is trained to write it. */
export interface TextSpan {
  readonly text: string;
  readonly trained: boolean;
}

/** The tokens' texts by the names that templates use: `bos_token`, `eos_token`, `unk_token`, `pad_token`, ... */
export type SpecialTokens = Readonly<Record<string, string>>;

/** What a template is given beside the messages. */
export interface ChatRenderOptions {
  /** Open the assistant's next turn; default false. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** JSON schemas of functions. */
  readonly tools?: readonly unknown[] | undefined;
  readonly documents?: readonly unknown[] | undefined;
  /** More names that the template reads, such as `enable_thinking`; they take precedence over the special tokens. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** What `strftime_now` takes for now, in local time; default the clock. */
  readonly now?: Date | undefined;
}

/** A message with whatever fields a template reads: `tool_calls`, `reasoning_content`, `content` in parts, ... */
export type TemplateMessage = ChatMessage | Readonly<Record<string, unknown>>;

export interface ChatTemplate {
  /** The Jinja source. */
  readonly source: string;
  /**
   * Parses the template, which else waits for its first use.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  check(): void;
  /**
   * The conversation as the model is to read it. Templates write the beginning-of-text token themselves: encode the
   * result with `addSpecialTokens: false`.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED with the template's own words, TEMPLATE_LIMIT for what Glulam's Jinja
   *   leaves out and for a template beyond its budget of steps and characters
   */
  render(messages: readonly TemplateMessage[], options?: ChatRenderOptions): string;
  /**
   * The same text, with the places of the template's `generation` blocks, which hold what the assistant writes, and
   * whether the text depends on the date.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  renderWithSpans(messages: readonly TemplateMessage[], options?: ChatRenderOptions): RenderedTemplate;
  /**
   * The same text in pieces, those the assistant is to write marked: its turns' content and end-of-turn token, not
   * the header that the generation prompt gives it.
   *
   * A turn is what `render` adds to the generation prompt before it, so any template works whose text of a
   * conversation begins with its text of the conversation so far.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED if the template rewrites earlier turns or refuses the conversation,
   *   TEMPLATE_LIMIT
   */
  renderWithMask(messages: readonly ChatMessage[]): TextSpan[];
}

/**
 * A Hugging Face chat template, rendered as `transformers.apply_chat_template` renders it. It is parsed when first
 * used: a model whose template cannot be read still runs on plain text.
 */
export function createChatTemplate(source: string, specialTokens: SpecialTokens): ChatTemplate {
  let template: JinjaTemplate | undefined;

  const parsed = (): JinjaTemplate => {
    try {
      return (template ??= createJinjaTemplate(source, 'chat'));
    } catch (error) {
      throw failed('cannot be parsed', error);
    }
  };

  const renderWithSpans: ChatTemplate['renderWithSpans'] = (messages, options = {}) => {
    const { addGenerationPrompt = false, tools = null, documents = null, variables, now } = options;
    const parsedTemplate = parsed();
    try {
      const names = { ...specialTokens, ...variables, messages, tools, documents };
      return parsedTemplate.render({ ...names, add_generation_prompt: addGenerationPrompt }, now);
    } catch (error) {
      const refuses = error instanceof ModelError && error.code === 'TEMPLATE_REFUSED';
      throw failed(`${refuses ? 'refuses' : 'fails on'} a conversation of the roles ${roles(messages)}`, error);
    }
  };
  const render: ChatTemplate['render'] = (messages, options) => renderWithSpans(messages, options).text;

  const renderWithMask = (messages: readonly ChatMessage[]): TextSpan[] => {
    const whole = render(messages);
    const spans: TextSpan[] = [];
    let done = 0;
    const add = (end: number, trained: boolean): void => {
      if (end > done) spans.push({ text: whole.slice(done, end), trained });
      done = Math.max(done, end);
    };
    messages.forEach((message, index) => {
      if (message.role !== 'assistant') return;
      const prompt = render(messages.slice(0, index), { addGenerationPrompt: true });
      const turn = render(messages.slice(0, index + 1));
      if (!turn.startsWith(prompt) || !whole.startsWith(turn)) throw rewrites(index, turn.startsWith(prompt));
      add(prompt.length, false);
      add(prompt.length + written(turn.slice(prompt.length), specialTokens['eos_token']), true);
    });
    add(whole.length, false);
    return spans;
  };

  return { source, check: () => void parsed(), render, renderWithSpans, renderWithMask };
}

function failed(what: string, cause: unknown): ModelError {
  const words = cause instanceof Error ? cause.message : String(cause);
  // What Glulam cannot do is not the template's fault.
  const code = cause instanceof ModelError && cause.code === 'TEMPLATE_LIMIT' ? cause.code : 'CHAT_TEMPLATE_FAILED';
  return new ModelError(code, `The model's chat template ${what}: ${words}`, { cause });
}

/** How much of a turn the model writes: not the white space that templates put behind the end-of-turn token. */
function written(turn: string, eos: string | undefined): number {
  const trimmed = turn.trimEnd();
  return eos !== undefined && trimmed.endsWith(eos) ? trimmed.length : turn.length;
}

function roles(messages: readonly TemplateMessage[]): string {
  return messages.length === 0 ? 'none' : messages.map(({ role }) => String(role)).join(', ');
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
