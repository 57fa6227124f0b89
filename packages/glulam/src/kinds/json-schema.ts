import { z } from 'zod';

/** The part of JSON Schema (draft 7) that schemas of options come to. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  /** The JSON type, or several. */
  readonly type?: string | readonly string[];
  /** For people. */
  readonly description?: string;
  /** What stands where nothing is given. */
  readonly default?: unknown;
  /** The only value. */
  readonly const?: unknown;
  /** All values. */
  readonly enum?: readonly unknown[];
  /** Alternatives. */
  readonly anyOf?: readonly JsonSchema[];
  /** Of a record, by key. */
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** Keys without a default. */
  readonly required?: readonly string[];
  /** What other keys may hold; false: there are none. */
  readonly additionalProperties?: boolean | JsonSchema;
  /** What a list holds. */
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
      key !== 'alsoInCode' &&
      !(key === 'maximum' && each === Number.MAX_SAFE_INTEGER) &&
      !(key === 'minimum' && each === Number.MIN_SAFE_INTEGER) &&
      !(key === 'format' && each === 'includes'),
  );
  return Object.fromEntries(kept.map(([key, each]) => [key, tidy(each)]));
}
