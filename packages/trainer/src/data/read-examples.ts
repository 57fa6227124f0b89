import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { encodeSpans, type ChatMessage, type TextSpan, type Tokenizer } from '@glulam/model';
import type { Example } from '../batches.js';
import { TrainerError } from '../errors.js';

export interface DataSettings {
  /** A JSONL file of `{ question, answer }` or `{ messages: [{ role, content }] }`. */
  readonly file: string;
  /** How question and answer become a text: `{question}` is replaced, the answer follows after a space. */
  readonly prompt: string;
  /** Longer examples are an error: nothing is cut silently. */
  readonly maxTokens: number;
}

type Row = { readonly question: string; readonly answer: string } | { readonly messages: readonly ChatMessage[] };

/** Read and tokenize a data file; loss is on answers and assistant turns only. All faulty rows are reported together. */
export async function readExamples(settings: DataSettings, tokenizer: Tokenizer): Promise<Example[]> {
  const { file, maxTokens } = settings;
  const examples: Example[] = [];
  const faults: string[] = [];
  let line = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      line += 1;
      if (text.trim() === '') continue;
      const row = parseRow(text);
      if (typeof row === 'string') {
        faults.push(`${file}:${line}: ${row}`);
        continue;
      }
      const example = encodeRow(row, settings, tokenizer);
      if (example.ids.length > maxTokens) {
        faults.push(
          `${file}:${line}: has ${example.ids.length} tokens; data.maxTokens is ${maxTokens}: raise it or shorten the row`,
        );
      } else if (!example.trained.includes(1)) {
        faults.push(`${file}:${line}: has no token to learn from: its answer is empty`);
      } else {
        examples.push(example);
      }
    }
  } catch (cause) {
    if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
    throw new TrainerError('DATA_UNREADABLE', `cannot read the data file ${file}: ${cause.message}`, { cause });
  }
  if (faults.length > 0) {
    const more = faults.length > 8 ? `\n  and ${faults.length - 8} more rows` : '';
    throw new TrainerError('DATA_INVALID', `rows that cannot be used:\n  ${faults.slice(0, 8).join('\n  ')}${more}`);
  }
  if (examples.length === 0)
    throw new TrainerError('DATA_EMPTY', `${file} has no rows; expected JSONL, one example a line`);
  return examples;
}

/** A row, or what is wrong with it. */
function parseRow(text: string): Row | string {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    return `is not JSON (${(error as Error).message})`;
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    return `is ${JSON.stringify(row)}; expected an object`;
  const { question, answer, messages } = row as Record<string, unknown>;
  if (messages !== undefined) {
    if (!Array.isArray(messages) || messages.length === 0) return 'messages is not a list of turns';
    const wrong = messages.findIndex((message: unknown) => {
      const { role, content } = (message ?? {}) as Record<string, unknown>;
      return typeof role !== 'string' || typeof content !== 'string';
    });
    if (wrong >= 0)
      return `messages[${wrong}] is ${JSON.stringify(messages[wrong])}; expected { role, content } as texts`;
    return { messages: messages as ChatMessage[] };
  }
  if (typeof question === 'string' && typeof answer === 'string') return { question, answer };
  return `has the keys ${Object.keys(row).join(', ') || 'none'}; expected question and answer as texts, or messages`;
}

function encodeRow(row: Row, settings: DataSettings, tokenizer: Tokenizer): Example {
  const { ids, trained } = encodeRowTokens(row, settings, tokenizer);
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained, Number) };
}

function encodeRowTokens(
  row: Row,
  { prompt }: DataSettings,
  tokenizer: Tokenizer,
): { ids: readonly number[]; trained: readonly boolean[] } {
  if ('messages' in row) {
    if (tokenizer.chatTemplate === undefined) {
      throw new TrainerError(
        'DATA_INVALID',
        'the data has messages, but the base checkpoint has no chat template; use question and answer rows',
      );
    }
    return encodeSpans(tokenizer, tokenizer.chatTemplate.renderWithMask(row.messages), { addSpecialTokens: false });
  }
  const spans: TextSpan[] = [
    { text: prompt.replace('{question}', () => row.question), trained: false },
    { text: ` ${row.answer}`, trained: true },
  ];
  const { ids, trained } = encodeSpans(tokenizer, spans);
  // The end of the answer is learnt as well, or the model would never stop.
  return tokenizer.eosId === undefined || ids.at(-1) === tokenizer.eosId
    ? { ids, trained }
    : { ids: [...ids, tokenizer.eosId], trained: [...trained, true] };
}

/** The order of examples in an epoch: a Fisher-Yates shuffle by seed and epoch. */
export function shuffled(count: number, uniform: Float32Array): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniform[i]! * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
