import type { z } from 'zod';
import { toJsonSchema, type JsonSchema } from './json-schema.js';
import { roleOf } from './roles.js';

/** One option for people: in a record of records by its path, `train.steps`. */
export interface OptionDescription {
  /** Its path, such as `train.steps`. */
  readonly name: string;
  /** In words, such as `integer > 0`. */
  readonly type: string;
  /** There is no default. */
  readonly required: boolean;
  /** As JSON; absent: there is none. */
  readonly default?: unknown;
  /** As its schema describes it. */
  readonly description: string;
}

/** The options of a schema, in its order. */
export const describeOptions = (schema: z.ZodType): OptionDescription[] => optionsIn(toJsonSchema(schema), '');

function optionsIn({ properties = {}, required = [] }: JsonSchema, above: string): OptionDescription[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const name = `${above}${key}`;
    // A record of options of its own, such as `train`; alternatives stay one option.
    if (schema.properties !== undefined && schema.choiceOf === undefined) return optionsIn(schema, `${name}.`);
    const kind = schema.choiceOf === undefined ? undefined : schema.properties?.['kind']?.default;
    const standing = kind === undefined ? schema.default : { kind };
    return [
      {
        name,
        type: typeText(schema),
        required: required.includes(key),
        ...(standing === undefined ? {} : { default: standing }),
        description: schema.description ?? '',
      },
    ];
  });
}

/** A schema in words: `integer > 0 or { first, repeats }`. */
function typeText(schema: JsonSchema): string {
  const { choiceOf, anyOf, enum: values, type, properties, additionalProperties, items, pattern } = schema;
  if (choiceOf !== undefined) return `{ kind, ... } of ${article(roleOf(choiceOf))}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' or ');
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeText))].join(' or ');
  if (typeof type === 'object') return type.map((each) => typeText({ ...schema, type: each })).join(' or ');
  switch (type) {
    case 'integer':
    case 'number':
      return [type, bounds(schema).join(', ')].join(' ').trim();
    case 'string':
      return typeof pattern === 'string' ? `text like ${pattern}` : 'text';
    case 'boolean':
      return 'true or false';
    case 'array': {
      if (Array.isArray(items)) return `[${(items as readonly JsonSchema[]).map(typeText).join(', ')}]`;
      const each = typeText((items as JsonSchema | undefined) ?? {});
      return `list of ${each.includes(' or ') ? `(${each})` : each}`;
    }
    case 'object':
      if (properties !== undefined) return `{ ${Object.keys(properties).join(', ')} }`;
      return `{ [name]: ${typeof additionalProperties === 'object' ? typeText(additionalProperties) : 'anything'} }`;
    default:
      return type ?? 'anything';
  }
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string[] {
  const pairs: [string, unknown][] = [
    ['≥', minimum],
    ['>', exclusiveMinimum],
    ['≤', maximum],
    ['<', exclusiveMaximum],
  ];
  return pairs.filter(([, bound]) => bound !== undefined).map(([sign, bound]) => `${sign} ${String(bound)}`);
}

export const article = (noun: string): string => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
