import { encodeSpans, ModelError, type TextSpan, type Tokenizer } from '@glulam/model';
import type { Example } from '../../step/batches.js';
import type { FilledText } from '../read-row.js';
import { createConversationEncoder } from './conversation-encoder.js';
import type { EncodeSettings } from './encode-settings.js';
import { exampleOf, type EncodedRow, type Tokens } from './encoded-row.js';

/** Turns the text of rows into examples: everything that happens to data in a worker. Pure. */
export function createRowEncoder(tokenizer: Tokenizer, settings: EncodeSettings): (text: FilledText) => EncodedRow {
  const { loss, maxTokens } = settings;
  const encodeConversation = createConversationEncoder(tokenizer, settings);
  // The end of what is written is learnt as well, or the model would never stop.
  const withEnd = ({ ids, trained }: Tokens): Tokens => {
    const { eosId, embeddingRows = Infinity } = tokenizer;
    if (eosId === undefined || ids.at(-1) === eosId) return { ids, trained };
    if (eosId < embeddingRows) return { ids: [...ids, eosId], trained: [...trained, true] };
    throw new ModelError(
      'TOKENIZER_MISMATCH',
      `examples end with eos_token (id ${eosId}), which is beyond the model's embedding: that has ${embeddingRows} rows (vocab_size). ` +
        'Name another eos_token in tokenizer_config.json, or enlarge the embedding and save the checkpoint again.',
    );
  };

  const encodePair = (spans: readonly TextSpan[]): EncodedRow => {
    const tokens = withEnd(encodeSpans(tokenizer, spans));
    if (tokens.ids.length > maxTokens)
      return { skip: `longer than data.maxTokens (${maxTokens}); a prompt is not parted from its answer` };
    return { examples: [exampleOf(tokens, loss === 'all')], notes: [] };
  };

  return (text) => {
    const encoded =
      'messages' in text
        ? encodeConversation(text)
        : 'prompt' in text
          ? encodePair([
              { text: text.prompt, trained: false },
              { text: text.completion, trained: true },
            ])
          : cutText(withEnd(encodeSpans(tokenizer, [{ text: text.text, trained: true }])), maxTokens);
    if ('skip' in encoded) return encoded;
    const examples = encoded.examples.filter(({ trained }) => trained.includes(1));
    return examples.length === 0
      ? { skip: nothingLearnt(text) }
      : { examples, notes: [...(text.notes ?? []), ...encoded.notes] };
  };
}

/** With the roles of the turns, where they are names that many rows have. */
function nothingLearnt(text: FilledText): string {
  if (!('messages' in text)) return 'nothing in it is to be learnt';
  const roles = [...new Set(text.messages.map(({ role }) => (/^[\w-]{1,24}$/.test(role) ? role : 'another')))];
  const isLearnt = (index: number): boolean => text.contextOnly?.includes(index) !== true;
  if (text.messages.some(({ role }, index) => role === 'assistant' && isLearnt(index)))
    return 'nothing in it is to be learnt: the chat template writes nothing that the assistant says, or has no {% generation %} block around it';
  return roles.includes('assistant')
    ? 'nothing in it is to be learnt: the turns of the assistant are context only'
    : `nothing in it is to be learnt: there is no text of the assistant, the roles are ${roles.join(', ')}`;
}

/**
 * A text in parts of at most `maxTokens`. Each begins with what the tokenizer puts before every text, since models rely
 * on it, and each but the first then repeats one token, so that every token is learnt once and behind the one before it.
 */
function cutText({ ids, trained }: Tokens, maxTokens: number): EncodedRow {
  if (ids.length <= maxTokens) return { examples: [exampleOf({ ids, trained }, false)], notes: [] };
  const front = trained.indexOf(true);
  const step = maxTokens - front - 1;
  if (step < 1) return { skip: `data.maxTokens (${maxTokens}) leaves no room for text` };
  const examples: Example[] = [];
  for (let at = front; at < ids.length;) {
    const first = at === front;
    const context = ids.slice(0, front).concat(first ? [] : [ids[at - 1]!]);
    const end = Math.min(ids.length, at + (first ? step + 1 : step));
    const part = context.concat(ids.slice(at, end));
    examples.push(exampleOf({ ids: part, trained: part.map((_, i) => i >= context.length) }, false));
    at = end;
  }
  return { examples, notes: [] };
}
