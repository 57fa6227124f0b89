import type { Tokenizer } from '@glulam/model';
import type { Output } from './output.js';

/** Says where answers end if it is not at an end-of-text token, once for a command. */
export function noteEndOfTurn(tokenizer: Pick<Tokenizer, 'endOfTurn'>, notes: Pick<Output, 'write'>): void {
  const end = tokenizer.endOfTurn();
  if (end !== undefined)
    notes.write(`an answer ends at ${JSON.stringify(end.text)}, the end of a turn in the chat template\n`);
}
