import { ModelError } from '../errors.js';
import { learntTurns, type LearntText } from './learnt-turns.js';
import { createJinjaTemplate, type JinjaTemplate, type RenderedTemplate } from './jinja/template.js';

/**
 * One turn of a conversation. `role` is any that the template knows: 'system', 'user', 'assistant', ... `content` is a
 * text, or what else the template takes (a list of parts, null beside calls of tools). Other keys (`tool_calls`,
 * `reasoning_content`, `name`, ...) are the template's to show.
 */
export interface ChatMessage {
  /** Who speaks, such as `user`; the template defines which roles there are. */
  readonly role: string;
  /** A text, or what else the template takes. */
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

/** A piece of text, and whether the model is trained to write it. */
export interface TextSpan {
  /** The piece; all pieces joined are the whole text. */
  readonly text: string;
  /** Whether its tokens count in the loss. */
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
  /** Records with a `title` and a `text`, for templates that cite documents. */
  readonly documents?: readonly unknown[] | undefined;
  /** More names that the template reads, such as `enable_thinking`; they take precedence over the special tokens. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** What `strftime_now` takes for now, in local time; default: the template's own `now`. */
  readonly now?: Date | undefined;
}

/** What `ChatTemplate.renderLearnt` is given beside the messages. */
export interface LearntOptions extends Omit<ChatRenderOptions, 'addGenerationPrompt'> {
  /** Whether a turn of the assistant is learnt, by its index; default: each is. */
  readonly isTrained?: ((index: number) => boolean) | undefined;
}

/** A model's chat template: from messages to the text that the model reads. */
export interface ChatTemplate {
  /** The Jinja source. */
  readonly source: string;
  /** Whether the template may show the date: it names `strftime_now`. */
  readonly readsClock: boolean;
  /** What `strftime_now` takes for now, in local time; undefined: the clock. */
  readonly now: Date | undefined;
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
  render(messages: readonly ChatMessage[], options?: ChatRenderOptions): string;
  /**
   * The same text, with the places of the template's `generation` blocks, which hold what the assistant writes, and
   * whether the text depends on the date.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  renderWithSpans(messages: readonly ChatMessage[], options?: ChatRenderOptions): RenderedTemplate;
  /**
   * The texts that are learnt of a conversation, one where the template's text only grows, in pieces of which those that
   * the assistant writes are marked: see `learntTurns`.
   *
   * @throws ModelError CHAT_TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  renderLearnt(messages: readonly ChatMessage[], options?: LearntOptions): LearntText[];
}

/**
 * A Hugging Face chat template, rendered as `transformers.apply_chat_template` renders it. It is parsed when first
 * used: a model whose template cannot be read still runs on plain text.
 *
 * @param now what `strftime_now` takes for now, in local time; default the clock, at each rendering
 */
export function createChatTemplate(source: string, specialTokens: SpecialTokens, now?: Date): ChatTemplate {
  let template: JinjaTemplate | undefined;

  const parsed = (): JinjaTemplate => {
    try {
      return (template ??= createJinjaTemplate(source, 'chat'));
    } catch (error) {
      throw failed('cannot be parsed', error);
    }
  };

  const renderWithSpans: ChatTemplate['renderWithSpans'] = (messages, options = {}) => {
    const { addGenerationPrompt = false, tools = null, documents = null, variables } = options;
    const parsedTemplate = parsed();
    try {
      const names = { ...specialTokens, ...variables, messages, tools, documents };
      return parsedTemplate.render({ ...names, add_generation_prompt: addGenerationPrompt }, options.now ?? now);
    } catch (error) {
      const refuses = error instanceof ModelError && error.code === 'TEMPLATE_REFUSED';
      throw failed(`${refuses ? 'refuses' : 'fails on'} a conversation of the roles ${roles(messages)}`, error);
    }
  };
  const render: ChatTemplate['render'] = (messages, options) => renderWithSpans(messages, options).text;

  const renderLearnt: ChatTemplate['renderLearnt'] = (messages, { isTrained = () => true, ...options } = {}) =>
    learntTurns(messages, {
      render: (turns, addGenerationPrompt) => renderWithSpans(turns, { ...options, addGenerationPrompt }),
      isTrained,
      hasMarks: /\{%[-+]?\s*generation\b/.test(source),
      eos: specialTokens['eos_token'],
    });

  const readsClock = source.includes('strftime_now');
  return { source, readsClock, now, check: () => void parsed(), render, renderWithSpans, renderLearnt };
}

function failed(what: string, cause: unknown): ModelError {
  const words = cause instanceof Error ? cause.message : String(cause);
  // What Glulam cannot do is not the template's fault.
  const code = cause instanceof ModelError && cause.code === 'TEMPLATE_LIMIT' ? cause.code : 'CHAT_TEMPLATE_FAILED';
  return new ModelError(code, `The model's chat template ${what}: ${words}`, { cause });
}

function roles(messages: readonly ChatMessage[]): string {
  return messages.length === 0 ? 'none' : messages.map(({ role }) => String(role)).join(', ');
}
