import type { ChatMessage, ChatTemplate } from './chat-template.js';
import { ModelError } from '../errors.js';
import type { Tokenizer } from './tokenizer.js';
import type { TokenIds } from './token-ids.js';

/** What a chat template writes after an assistant's text. */
export interface EndOfTurn {
  /** As the template writes it, such as `<|im_end|>`. */
  readonly text: string;
  /** The token that it is; without one it is ordinary text of several tokens. */
  readonly id: number | undefined;
}

/** No template changes a word of plain letters, and no template has this one. */
const answer = 'glulamanswer';
const turns = [
  { role: 'user', content: 'question' },
  { role: 'assistant', content: answer },
];

/**
 * What ends an assistant's turn: of a rendered one, the token added to the vocabulary that follows the text, or the
 * ordinary text that does. Templates that end a turn only when another follows are asked for that token then. undefined
 * where a turn ends in white space alone, or the template has no such turns.
 *
 * @param added ids of the tokens added to the vocabulary, by their texts
 */
export function findEndOfTurn(template: ChatTemplate, added: ReadonlyMap<string, number>): EndOfTurn | undefined {
  const last = endIn(render(template, turns), added);
  if (last !== undefined) return last;
  const within = endIn(render(template, [...turns, turns[0]!]), added);
  // Ordinary text here may be the next turn's.
  return within?.id === undefined ? undefined : within;
}

function endIn(rendered: string, added: ReadonlyMap<string, number>): EndOfTurn | undefined {
  const at = rendered.lastIndexOf(answer);
  if (at < 0) return undefined;
  const after = rendered.slice(at + answer.length);
  const [first] = [...added]
    .map(([text, id]) => ({ text, id, start: text.trim() === '' ? -1 : after.indexOf(text) }))
    .filter(({ start }) => start >= 0)
    .sort((a, b) => a.start - b.start || b.text.length - a.text.length);
  const before = after.slice(0, first?.start).trimEnd();
  if (before !== '') return { text: before, id: undefined };
  return first && { text: first.text, id: first.id };
}

/** The options with which an answer in a chat ends where its turn does. */
export function endingTurns<
  T extends { readonly endIds?: TokenIds | undefined; readonly stop?: readonly string[] | undefined },
>(tokenizer: Pick<Tokenizer, 'eosIds' | 'endOfTurn'>, options: T): T {
  const end = tokenizer.endOfTurn();
  if (end === undefined) return options;
  const { endIds = tokenizer.eosIds, stop = [] } = options;
  return end.id === undefined ? { ...options, stop: [...stop, end.text] } : { ...options, endIds: [...endIds, end.id] };
}

function render(template: ChatTemplate, messages: readonly ChatMessage[]): string {
  try {
    return template.render(messages);
  } catch (error) {
    // It refuses this conversation. What it says about the user's own is reported when that one is rendered.
    if (error instanceof ModelError && error.code === 'CHAT_TEMPLATE_FAILED') return '';
    throw error;
  }
}
