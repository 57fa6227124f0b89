import type { RunConfig } from '../../config/config.js';

/** What decides the tokens of a row besides the tokenizer; part of the cache's key and sent to the workers. */
export interface EncodeSettings extends Pick<RunConfig['data'], 'loss' | 'maxTokens' | 'rewrittenTurns'> {
  /** Jinja source in place of the tokenizer's own template. */
  readonly chatTemplate: string | undefined;
  /** The local date that the template shows, as `data.date` has it; undefined: it shows none. */
  readonly date: string | undefined;
}
