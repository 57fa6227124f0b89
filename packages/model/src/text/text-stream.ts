import { createStopStrings } from './stop-strings.js';

/** Turns token ids into text as they come. All that it returned, joined, is the decoded text up to the stop string. */
export interface TextStream {
  /** Takes the next token and returns the text that is now certain: often one word, sometimes ''. */
  push(id: number): string;
  /** Ends the stream and returns what was held back. */
  finish(): string;
  /** The stop string that was met; from then on no text comes. */
  readonly stop: string | undefined;
}

interface TextStreamOptions {
  /** Decodes ids as one text. */
  readonly decode: (ids: readonly number[]) => string;
  /** Whether an id has a part in the text; others (special tokens, padding of the vocabulary) are passed over. */
  readonly counts: (id: number) => boolean;
  /** Strings that end the text; default none. */
  readonly stop?: readonly string[] | undefined;
}

// What a decoder makes of bytes that are not, or not yet, a character.
const REPLACEMENT = '\uFFFD';

/**
 * Incremental decoding for byte-level and byte-fallback vocabularies, where a character may be several tokens and the
 * first space of a text may be dropped.
 *
 * Each time the tokens since the last certain ones are decoded twice, with and without the new token, both times behind
 * the tokens that were certain before: what decoding does to the beginning of a text (a dropped space) then happens to
 * both and cancels out. It is the method of vLLM's `detokenize_incrementally` and of text-generation-inference, with
 * tokens that have no text left out first, since a window that begins with one would lose its space.
 * The work per token is constant, unless the model keeps writing bytes that are not characters. Of tokens that are bytes,
 * `decode` replaces every one if they are not characters together, valid ones too: the stream has given those before.
 *
 * @throws ModelError GENERATION_INVALID if a stop string is empty
 */
export function createTextStream(options: TextStreamOptions): TextStream {
  const stops = createStopStrings(options.stop ?? []);
  let certain: number[] = []; // the tokens whose text was returned last
  let pending: number[] = []; // tokens after them, their text not yet returned
  let stop: string | undefined;

  const decode = (ids: readonly number[]): string => (ids.length === 0 ? '' : options.decode(ids));
  const advance = (last: boolean): string => {
    const before = decode(certain);
    const after = decode([...certain, ...pending]);
    // Nothing yet, or it ends within a character: the next token decides.
    if (after.length <= before.length || (after.endsWith(REPLACEMENT) && !last)) return '';
    certain = pending;
    pending = [];
    return after.slice(before.length);
  };
  const pass = (text: string): string => {
    const result = stops.push(text);
    stop = result.stop;
    return result.text;
  };

  return {
    push(id) {
      if (stop !== undefined || !options.counts(id)) return '';
      pending.push(id);
      return pass(advance(false));
    },
    finish() {
      return stop !== undefined ? '' : pass(advance(true)) + stops.finish();
    },
    get stop() {
      return stop;
    },
  };
}
