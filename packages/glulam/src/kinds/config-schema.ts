import { ablationSchema, searchSchema } from '@glulam/ablation';
import type { Composition } from '@glulam/plugin';
import { runConfigSchema } from '@glulam/trainer';
import { toJsonSchema, type JsonSchema } from './json-schema.js';
import { roles, type Kind } from './roles.js';

/** The JSON Schema (draft 7, which editors know best) of a JSON or YAML config with the kinds of a composition. */
export function configSchema(composition: Composition): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  /** Choices become references to the kinds that there are. */
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    const { choiceOf, description, properties, ...rest } = value as JsonSchema;
    if (choiceOf === undefined)
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each)]));
    const role = roles.find(({ point }) => point.id === choiceOf)!;
    // A run's evaluators have a name besides, by which they are told apart; that of a search has none.
    const name = [role.name, ...Object.keys(properties ?? {}).filter((key) => key !== 'kind')].join('-');
    definitions[name] ??= { anyOf: composition.all(role.point).map((kind) => kindSchema(kind, properties)) };
    return {
      ...(description === undefined ? {} : { description }),
      ...(rest.default === undefined ? {} : { default: rest.default }),
      allOf: [{ $ref: `#/definitions/${name}` }],
    };
  };
  const { $schema, properties, ...whole } = fill(toJsonSchema(runConfigSchema)) as JsonSchema;
  const { $schema: _, ...ablation } = toJsonSchema(ablationSchema);
  const { $schema: __, ...search } = fill(toJsonSchema(searchSchema)) as JsonSchema;
  return {
    $schema,
    title: 'Glulam config',
    ...whole,
    properties: {
      $schema: { type: 'string', description: 'This schema, for editors.' },
      ...properties,
      ablation: { description: 'What `glulam ablate` compares; other commands leave it alone.', ...ablation },
      search: { description: 'What `glulam search` ranks; other commands leave it alone.', ...search },
    },
    definitions,
  };
}

/** `{ kind, ...options }`, with what every choice of the role has besides; its default is the kind where none is named. */
function kindSchema({ kind, schema }: Kind, choice: JsonSchema['properties'] = {}): JsonSchema {
  const { $schema: _, ...options }: JsonSchema = schema === undefined ? {} : toJsonSchema(schema);
  const { kind: named, ...common } = choice;
  const properties = { kind: { const: kind }, ...common };
  const required = kind === named?.default ? [] : ['kind'];
  // What is no plain record of options (alternatives, a schema that refers to itself) cannot be joined with the kind.
  if ((options.properties === undefined && options.type !== 'object') || JSON.stringify(options).includes('"$ref"'))
    return { type: 'object', properties, required };
  return {
    ...options,
    properties: { ...properties, ...options.properties },
    required: [...required, ...(options.required ?? [])],
  };
}
