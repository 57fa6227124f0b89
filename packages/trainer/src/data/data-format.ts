import type { ChatMessage } from '@glulam/model';
import { point } from '@glulam/plugin';
import type { z } from 'zod';

/**
 * What a row says, before it is tokenized: a conversation, which the chat template turns into text; a question with its
 * answer, which `data.prompt` does; a prompt with the completion that is learnt, as they are; or a text of which
 * everything is learnt. `notes` report what was changed on the way, in words that are the same for all such rows, so that
 * they can be counted ("the first turn was the assistant's: left out"). Neither they nor reasons repeat the row's text.
 */
export type RowText = { readonly notes?: readonly string[] } & (
  | {
      /** With every key that the template may show, as the row has it. */
      readonly messages: readonly ChatMessage[];
      /** What the assistant may call, as the row has it. */
      readonly tools?: readonly unknown[];
      /** Indices of turns of the assistant that are context only: they are not learnt. */
      readonly contextOnly?: readonly number[];
    }
  | {
      readonly question: string;
      readonly answer: string;
      /** The whole text before the answer, where the config has no `data.prompt`. */
      readonly prompt?: string;
      /** The columns that `prompt` shows besides the question; `data.prompt` shows those that it names. */
      readonly promptColumns?: readonly string[];
    }
  | { readonly prompt: string; readonly completion: string }
  | { readonly text: string }
);

/** Why a row teaches nothing; the same words for all such rows ("the conversation is empty"). */
export interface SkippedRow {
  /** The reason. */
  readonly skip: string;
}

/** How rows of a data set are read: what a plugin contributes at the point `dataFormats`. */
export interface DataFormat<Options = unknown> {
  /** The name by which a config chooses it. */
  readonly kind: string;
  /** Checks its options and describes them. */
  readonly schema: z.ZodType<Options>;
  /** For people: the keys that such rows have, as in `{ question, answer }`. */
  readonly shape: string;
  /** Whether a row (a JSON object) looks like this format under default options: how `auto` chooses. */
  matches(row: Readonly<Record<string, unknown>>): boolean;
  /**
   * The columns that a row is read from. Others that have a value are reported. Default: that is not known, and nothing
   * is reported.
   */
  columns?(row: Readonly<Record<string, unknown>>, options: Options): readonly string[];
  /**
   * A row with this question, this answer and these other columns, by which `glulam generate --question` and `glulam chat`
   * write prompts as in training: `read` reads it as any other. Default: rows of this format are not questions.
   */
  ask?(
    question: string,
    columns: Readonly<Record<string, string>>,
    answer: string,
    options: Options,
  ): Readonly<Record<string, unknown>>;
  /**
   * Pure; a row that cannot be used is skipped with the reason and never throws. Numbers of a row that JavaScript cannot
   * keep are `Number` objects (1.0) or bigints, objects whose keys it would put into another order Maps.
   */
  read(row: Readonly<Record<string, unknown>>, options: Options): RowText | SkippedRow;
}

/** Where plugins contribute data formats. */
export const dataFormats = point<DataFormat>('trainer.dataFormats', {
  schema: 'schema',
  shape: 'text',
  matches: 'function',
  read: 'function',
});
