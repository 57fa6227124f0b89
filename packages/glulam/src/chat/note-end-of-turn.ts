import type { Tokenizer } from '@glulam/model';

/** Says where answers end if it is not at an end-of-text token, once for a command. */
export function noteEndOfTurn(tokenizer: Pick<Tokenizer, 'endOfTurn'>, notes: NodeJS.WritableStream): void {
  const end = tokenizer.endOfTurn();
  if (end !== undefined)
    notes.write(`an answer ends at ${JSON.stringify(end.text)}, the end of a turn in the chat template\n`);
}
