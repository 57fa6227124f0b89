import { firstKey, isRecord, isText, listIn, type Row } from './row-parts.js';
import { wordlessKeys, type Turn } from './turn-parts.js';

/** Columns that hold turns, by the usual names. */
const turnColumns: readonly string[] = ['messages', 'conversations', 'conversation'];

/** The column of a row's turns: the option's, else the first of the usual ones, else `fallback`. */
export const turnColumn = (row: Row, column: string | undefined, fallback: string): string =>
  column ?? firstKey(row, turnColumns) ?? fallback;

/** Whether a row has turns that name their speakers by this key. An empty list is told by its column alone. */
export function hasTurns(row: Row, nameKey: 'role' | 'from', fallback: string): boolean {
  const column = turnColumn(row, undefined, fallback);
  const turns = listIn(row[column]);
  if (turns === undefined) return false;
  return turns.length === 0 ? column === fallback : turns.every((turn) => isRecord(turn) && nameKey in turn);
}

/** Whether a turn says nothing: no text, and nothing that stands in for one. */
export function isEmpty({ message }: Turn): boolean {
  const { content } = message;
  const parts = Array.isArray(content) ? (content as unknown[]) : [content];
  const blank = parts.every((part) => {
    const text = isRecord(part) ? part['text'] : part;
    return text === undefined || text === null || (typeof text === 'string' && !isText(text));
  });
  return blank && wordlessKeys.every((key) => isNothing(message[key]));
}

const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
