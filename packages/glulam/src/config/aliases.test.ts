import { compose } from '@glulam/plugin';
import { allAliases, runConfigSchema } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { configSchema } from '../kinds/config-schema.js';
import { toJsonSchema, type JsonSchema } from '../kinds/json-schema.js';
import { preset } from './preset.js';

const schema = configSchema(compose(preset()));
const definitions = schema['definitions'] as Readonly<Record<string, JsonSchema>>;

/** All option paths of the config and of the built-in kinds, which stand below the key that chooses them. */
function pathsOf(node: JsonSchema, path: string): string[] {
  const [reference] = (node['allOf'] ?? []) as readonly { readonly $ref?: string }[];
  const chosen = reference?.$ref === undefined ? undefined : definitions[reference.$ref.replace('#/definitions/', '')];
  const nodes = [node, ...(chosen?.anyOf ?? []), ...(node.anyOf ?? [])];
  return nodes.flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([key, inner]) => {
      const here = path === '' ? key : `${path}.${key}`;
      return [here, ...pathsOf(inner, here)];
    }),
  );
}
const paths = new Set(pathsOf(schema, ''));

test.each(allAliases.filter(({ option }) => option !== undefined))(
  '$name is $option, which is an option',
  ({ option }) => {
    expect(paths).toContain(option);
  },
);

test('every name is there once, says something, and is no key of the config itself', () => {
  const names = allAliases.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  expect(allAliases.filter(({ option, note }) => option === undefined && note === undefined)).toEqual([]);
  const own = Object.keys(toJsonSchema(runConfigSchema).properties ?? {});
  expect(names.filter((name) => own.includes(name))).toEqual([]);
});
