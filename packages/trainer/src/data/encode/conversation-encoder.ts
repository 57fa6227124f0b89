import {
  encodeMarked,
  ModelError,
  type ChatMessage,
  type EncodedSpans,
  type LearntText,
  type Tokenizer,
} from '@glulam/model';
import type { Example } from '../../step/batches.js';
import { TrainerError } from '../../errors.js';
import type { FilledText } from '../read-row.js';
import { distinctText } from '../rows/parse-json.js';
import { createShownCheck } from './check-shown.js';
import type { EncodeSettings } from './encode-settings.js';
import { exampleOf, type EncodedRow } from './encoded-row.js';

type ConversationText = Extract<FilledText, { readonly messages: unknown }>;

/** A conversation, or a part of one, as the template takes it. */
interface Conversation extends Pick<ConversationText, 'messages'> {
  readonly tools: readonly unknown[] | undefined;
  /** Turns of the assistant that are not learnt. */
  readonly contextOnly: ReadonlySet<ChatMessage>;
}

/**
 * Encodes conversations by the chat template. One of more than `maxTokens` is split between exchanges (what is said to
 * the assistant and its reply), its system message standing before each part; an exchange that is too long by itself is
 * left out, with a note. Where the template rewrites earlier turns, `rewrittenTurns` says whether each turn of the
 * assistant is learnt, in an example of its own, or the last.
 */
export function createConversationEncoder(
  tokenizer: Tokenizer,
  { loss, maxTokens, rewrittenTurns }: EncodeSettings,
): (conversation: ConversationText) => EncodedRow {
  const template = tokenizer.chatTemplate!;
  const notes = new Set<string>();

  const learntTexts = ({ messages, tools, contextOnly }: Conversation): readonly LearntText[] => {
    const isContext = (index: number): boolean => contextOnly.has(messages[index]!);
    if (loss === 'assistant') {
      const texts = template.renderLearnt(messages, { tools, isTrained: (index) => !isContext(index) });
      if (texts.length === 1) return texts;
      notes.add(
        rewrittenTurns === 'each'
          ? 'the chat template rewrites earlier turns: a conversation gives an example for each turn that it rewrites'
          : 'the chat template rewrites earlier turns: only the last turns are learnt, as data.rewrittenTurns says',
      );
      return rewrittenTurns === 'each' ? texts : texts.slice(-1);
    }
    const text = template.render(messages, { tools });
    if (!messages.some((_, index) => isContext(index))) return [{ spans: [{ text, trained: true }] }];
    const [first] = template.renderLearnt(messages, { tools, isTrained: isContext });
    if (first!.spans.map((span) => span.text).join('') !== text) {
      throw new ModelError(
        'CHAT_TEMPLATE_FAILED',
        "with data.loss 'all' a turn that is context only has to stand in the text of the whole conversation, and the template rewrites it",
      );
    }
    return [{ spans: first!.spans.map((span) => ({ ...span, trained: !span.trained })) }];
  };

  /** The examples of a conversation, whatever their length. */
  const encode = (conversation: Conversation): EncodedSpans[] =>
    learntTexts(conversation).map(({ spans }) => encodeMarked(tokenizer, spans));
  const fits = (all: readonly EncodedSpans[]): boolean => all.every(({ ids }) => ids.length <= maxTokens);

  const split = ({ messages, ...beside }: Conversation): readonly Example[] => {
    const { system, exchanges } = partsOf(messages);
    // How many fit is guessed from their contents' tokens, then tried: the template's own tokens count too.
    const textOf = (content: unknown): string => (typeof content === 'string' ? content : distinctText(content ?? ''));
    const lengthOf = (turns: readonly ChatMessage[]): number =>
      turns.reduce(
        (sum, { content }) => sum + tokenizer.encode(textOf(content), { addSpecialTokens: false }).length,
        0,
      );
    const lengths = exchanges.map(lengthOf);
    const most = maxTokens - lengthOf(system);
    const examples: Example[] = [];
    for (let from = 0; from < exchanges.length;) {
      const fitting = (count: number): readonly EncodedSpans[] | undefined => {
        const part = encode({ messages: [...system, ...exchanges.slice(from, from + count).flat()], ...beside });
        return fits(part) ? part : undefined;
      };
      let count = 0;
      for (let sum = 0; from + count < exchanges.length; count++) {
        sum += lengths[from + count]!;
        if (sum > most && count > 0) break;
      }
      let part = fitting(count);
      while (part === undefined && count > 1) part = fitting(--count);
      if (part === undefined) {
        notes.add(`an exchange longer than data.maxTokens (${maxTokens}): left out`);
        from += 1;
        continue;
      }
      while (from + count < exchanges.length) {
        const longer = fitting(count + 1);
        if (longer === undefined) break;
        part = longer;
        count += 1;
      }
      const found = part.map((each) => exampleOf(each, false));
      if (!found.some(({ trained }) => trained.includes(1)))
        notes.add('the last turns, which nothing answers, did not fit in: left out');
      examples.push(...found);
      from += count;
    }
    return examples;
  };

  let checkShown: ReturnType<typeof createShownCheck> | undefined;
  return ({ messages: given, tools, contextOnly = [] }) => {
    try {
      notes.clear();
      checkShown ??= createShownCheck(template);
      const shown = checkShown(given, tools);
      if ('skip' in shown) return shown;
      const { messages } = shown;
      const conversation = { messages, tools, contextOnly: new Set(contextOnly.map((index) => messages[index]!)) };
      const whole = encode(conversation);
      const { bosId } = tokenizer;
      if (whole.some(({ ids }) => bosId !== undefined && ids[0] === bosId && ids[1] === bosId))
        notes.add('it begins with two beginning-of-text tokens');
      const examples = fits(whole) ? whole.map((each) => exampleOf(each, false)) : split(conversation);
      if (examples.length === 0) return { skip: `every exchange is longer than data.maxTokens (${maxTokens})` };
      return { examples, notes: [...shown.notes, ...notes] };
    } catch (error) {
      if (!(error instanceof ModelError) || error.code !== 'CHAT_TEMPLATE_FAILED') throw error;
      // The template's own words where it has some: they are the same for all rows that it refuses for this.
      const words = error.cause instanceof Error ? error.cause.message : error.message;
      return { skip: `the chat template refuses it: ${words}` };
    }
  };
}

/** Roles that answer what the assistant called. */
const answering: readonly string[] = ['tool', 'function', 'observation', 'ipython', 'tool_response'];

/**
 * The system message, and the exchanges behind it. A part of a conversation begins where someone speaks to the assistant
 * after it had its say; a tool's answer belongs to the exchange in which the tool was called.
 */
function partsOf(messages: readonly ChatMessage[]): { system: readonly ChatMessage[]; exchanges: ChatMessage[][] } {
  const start = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const system = messages.slice(0, start < 0 ? messages.length : start);
  const exchanges: ChatMessage[][] = [];
  let answered = true;
  for (const message of messages.slice(system.length)) {
    if (answered && message.role !== 'assistant' && !answering.includes(message.role)) {
      exchanges.push([]);
      answered = false;
    }
    if (exchanges.length === 0) exchanges.push([]);
    exchanges.at(-1)!.push(message);
    if (message.role === 'assistant') answered = true;
  }
  return { system, exchanges };
}

/** @throws TrainerError DATA_INVALID where there is no chat template, ModelError where it cannot be parsed */
export function checkChatTemplate(tokenizer: Tokenizer, file: string): void {
  if (tokenizer.chatTemplate === undefined) {
    throw new TrainerError(
      'DATA_INVALID',
      `${file} holds conversations, and the base checkpoint has no chat template to lay them out; ` +
        "set data.chatTemplate to 'plain', or to the template that the base was trained with (Jinja, or a file of it)",
    );
  }
  tokenizer.chatTemplate.check();
}
