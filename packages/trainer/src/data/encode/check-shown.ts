import { ModelError, type ChatMessage, type ChatTemplate } from '@glulam/model';
import type { SkippedRow } from '../data-format.js';

interface Shown {
  /** As the template takes them. */
  readonly messages: readonly ChatMessage[];
  /** What the template leaves out. */
  readonly notes: readonly string[];
}

/** Calls of tools. Without them a conversation would continue from something that was never said. */
const callKeys: readonly string[] = ['tool_calls', 'function_call'];

/**
 * Checks that a template shows what a conversation holds: it does where the text changes when that is taken out. What it
 * does not show is noted; where nothing of a turn would be left, or a call be missing, the row is refused.
 *
 * @throws ModelError CHAT_TEMPLATE_FAILED if the template refuses the conversation
 */
export function createShownCheck(
  template: ChatTemplate,
): (messages: readonly ChatMessage[], tools: readonly unknown[] | undefined) => Shown | SkippedRow {
  let partsKnown: boolean | undefined;

  return (given, tools) => {
    let messages = given;
    if (given.some(({ content }) => isParts(content)) && !(partsKnown ??= takesParts(template))) {
      if (given.some(({ content }) => isParts(content) && content.length > 1))
        return { skip: "a turn's content is a list of several parts, and the chat template takes one text" };
      messages = given.map((each) =>
        isParts(each.content) ? { ...each, content: each.content[0]?.text ?? '' } : each,
      );
    }
    const whole = template.render(messages, { tools });
    const isShown = (without: readonly ChatMessage[], withTools: typeof tools): boolean => {
      try {
        return template.render(without, { tools: withTools }) !== whole;
      } catch (error) {
        if (error instanceof ModelError && error.code === 'CHAT_TEMPLATE_FAILED') return true;
        throw error;
      }
    };
    const notes: string[] = [];
    for (const key of furtherKeys(messages)) {
      if (
        isShown(
          messages.map(({ [key]: _, ...rest }) => rest as ChatMessage),
          tools,
        )
      )
        continue;
      const name = /^[\w-]{1,32}$/.test(key) ? `"${key}"` : 'a key';
      if (callKeys.includes(key))
        return { skip: `a turn calls a tool (tool_calls or function_call), which the chat template does not show` };
      if (messages.some((each) => each.role === 'assistant' && !isNothing(each[key]) && isBlank(each.content)))
        return { skip: `a turn of the assistant has no text but ${name}, which the chat template does not show` };
      notes.push(`the chat template does not show ${name} of a turn`);
    }
    if (tools !== undefined && tools.length > 0 && !isShown(messages, undefined))
      notes.push('the chat template does not show "tools"');
    for (const role of new Set(messages.map((each) => each.role))) {
      if (
        role === 'user' ||
        role === 'assistant' ||
        isShown(
          messages.filter((each) => each.role !== role),
          tools,
        )
      )
        continue;
      notes.push(
        `the chat template does not show turns of the role ${/^[\w-]{1,24}$/.test(role) ? role : 'that they have'}`,
      );
    }
    return { messages, notes };
  };
}

interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

const isParts = (content: unknown): content is readonly TextPart[] =>
  Array.isArray(content) && content.every((part: Partial<TextPart> | null) => part?.type === 'text');

/** Whether a template writes the text of parts: most write the list itself, as Python or JSON shows it. */
function takesParts(template: ChatTemplate): boolean {
  const marker = 'zqxj4711';
  try {
    const text = template.render([{ role: 'user', content: [{ type: 'text', text: marker }] }]);
    const at = text.indexOf(marker);
    return at >= 0 && !['"', "'"].includes(text[at - 1] ?? '');
  } catch (error) {
    if (error instanceof ModelError && error.code === 'CHAT_TEMPLATE_FAILED') return false;
    throw error;
  }
}

/** Keys of turns besides role and content that say something. */
function furtherKeys(messages: readonly ChatMessage[]): string[] {
  const keys = messages.flatMap((each) => Object.keys(each).filter((key) => !isNothing(each[key])));
  return [...new Set(keys)].filter((key) => key !== 'role' && key !== 'content');
}

const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);

const isBlank = (content: unknown): boolean =>
  isNothing(content) || (typeof content === 'string' && content.trim() === '');
