import { z } from 'zod';

/** The part of JSON Schema (draft 7) that schemas of options come to. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema | readonly JsonSchema[];
  /** Of the run's config: the id of the point whose kinds stand here. */
  readonly choiceOf?: string;
}

/** What people write, before defaults are filled in. What JSON Schema cannot say (a transformation) is left open. */
export const toJsonSchema = (schema: z.ZodType): JsonSchema =>
  tidy(z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' })) as JsonSchema;

/** Without what zod says and nobody wants to read: the bounds of whole numbers in JavaScript, formats of its own. */
function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([key, each]) =>
      !(key === 'maximum' && each === Number.MAX_SAFE_INTEGER) &&
      !(key === 'minimum' && each === Number.MIN_SAFE_INTEGER) &&
      !(key === 'format' && each === 'includes'),
  );
  return Object.fromEntries(kept.map(([key, each]) => [key, tidy(each)]));
}
