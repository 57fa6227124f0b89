import { quoteValue } from '@glulam/files';
import { z } from 'zod';
import { ModelError } from '../../errors.js';

/** A part of tokenizer.json: a normalizer, pre-tokenizer, model, decoder or post-processor. */
export interface Component {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** The error for what a tokenizer asks for and nothing here follows. */
export function unsupported(feature: string): ModelError {
  return new ModelError(
    'TOKENIZER_UNSUPPORTED',
    `${feature}. This feature of tokenizers is not followed, and leaving it out would change token ids. ` +
      'Use a tokenizer without it.',
  );
}

/** The error for a tokenizer.json that contradicts itself. */
export function invalid(what: string): ModelError {
  return new ModelError('TOKENIZER_INVALID', what);
}

const componentSchema = z.looseObject({ type: z.string() });

/** A part that may be absent. */
export function componentOf(value: unknown, what: string): Component | undefined {
  if (value === null || value === undefined) return undefined;
  const result = componentSchema.safeParse(value);
  if (!result.success) throw invalid(`its ${what} is ${quoteValue(value)}; expected null or a record with a type`);
  return result.data;
}

/** The options of a part. As in the tokenizers library, options that it does not have are not looked at. */
export function readOptions<T extends z.ZodType>(schema: T, component: Component, what: string): z.output<T> {
  const result = schema.safeParse(component);
  if (!result.success) throw invalid(`its ${what} ${component.type}: ${z.prettifyError(result.error)}`);
  return result.data;
}

/** `{"String": ...}` or `{"Regex": ...}`. */
export const patternSchema = z.union([z.strictObject({ String: z.string() }), z.strictObject({ Regex: z.string() })]);
export type PatternOption = z.output<typeof patternSchema>;
