import type { z } from 'zod';

interface SchemaDef {
  readonly type?: unknown;
  /** Of a whole number `safeint`. */
  readonly format?: unknown;
  readonly innerType?: unknown;
  /** Of a pipe, what goes in. */
  readonly in?: unknown;
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly options?: readonly unknown[];
  readonly element?: unknown;
  readonly valueType?: unknown;
}

interface Node {
  readonly schema: z.ZodType;
  readonly def: SchemaDef;
}

/** A schema without defaults and optionals, each of its alternatives. */
function alternatives(schema: unknown): Node[] {
  const { def } = (schema ?? {}) as { readonly def?: SchemaDef };
  if (def === undefined) return [];
  const inner = def.innerType ?? def.in;
  if (inner !== undefined) return alternatives(inner);
  return def.options?.flatMap(alternatives) ?? [{ schema: schema as z.ZodType, def }];
}

const step = (nodes: readonly Node[], part: string): unknown[] =>
  nodes.map(({ def }) => def.shape?.[part] ?? def.element ?? def.valueType).filter((next) => next !== undefined);

/** The schemas of what stands at a path, through defaults, optionals, lists, records and alternatives. */
function nodesAt(schema: z.ZodType, path: readonly PropertyKey[]): Node[] {
  return path.reduce<Node[]>((nodes, part) => step(nodes, String(part)).flatMap(alternatives), alternatives(schema));
}

/** The keys of the objects at a path. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  return [...new Set(nodesAt(schema, path).flatMap(({ def }) => Object.keys(def.shape ?? {})))];
}

/** The id of the point whose kinds are chosen at a path; undefined where no choice, `{ kind, ...options }`, stands there. */
export function pointAt(schema: z.ZodType, path: readonly PropertyKey[]): string | undefined {
  return nodesAt(schema, path)
    .map(choiceOf)
    .find((point) => typeof point === 'string');
}

/** Whether the numbers that may stand at a path are whole ones. */
export function isWholeAt(schema: z.ZodType, path: readonly PropertyKey[]): boolean {
  const numbers = nodesAt(schema, path).filter(({ def }) => def.type === 'number');
  return numbers.length > 0 && numbers.every(({ def }) => def.format === 'safeint');
}

const choiceOf = ({ schema }: Node): unknown => schema.meta()?.['choiceOf'];

/** A value for an example of the key at a path, where the schema gives one. */
export function exampleAt(schema: z.ZodType, path: readonly PropertyKey[]): unknown {
  return (metaAt(schema, path, 'examples') as unknown[] | undefined)?.[0];
}

/** What a schema says of the key at a path. */
export function metaAt(schema: z.ZodType, path: readonly PropertyKey[], name: string): unknown {
  const before = path
    .slice(0, -1)
    .reduce<Node[]>((nodes, part) => step(nodes, String(part)).flatMap(alternatives), alternatives(schema));
  const last = path.at(-1);
  // It is on the outermost schema, or on one within.
  let schemas = last === undefined ? [] : step(before, String(last));
  while (schemas.length > 0) {
    for (const each of schemas) {
      const found = (each as z.ZodType).meta()?.[name];
      if (found !== undefined) return found;
    }
    schemas = schemas.flatMap((each) => (each as { def: SchemaDef }).def.innerType ?? []);
  }
  return undefined;
}

/** A choice that a config makes. */
interface WrittenChoice {
  readonly path: readonly string[];
  /** The id of the point whose kinds may stand there. */
  readonly point: string;
  readonly schema: z.ZodType;
  /** Keys that every choice there has besides the options of its kind. */
  readonly common: readonly string[];
  readonly value: unknown;
}

/** Every choice in a config, whether it can be used or not. */
export function choicesIn(schema: z.ZodType, value: unknown, path: readonly string[] = []): WrittenChoice[] {
  if (typeof value !== 'object' || value === null) return [];
  const nodes = alternatives(schema);
  if (Array.isArray(value)) {
    const elements = nodes.flatMap(({ def }) => (def.element === undefined ? [] : [def.element as z.ZodType]));
    return elements.flatMap((element) => value.flatMap((each, i) => choicesIn(element, each, [...path, String(i)])));
  }
  return nodes.flatMap((node) => {
    const { shape = {} } = node.def;
    const point = choiceOf(node);
    if (typeof point === 'string') return [{ path, point, schema: node.schema, common: Object.keys(shape), value }];
    return Object.entries(shape).flatMap(([key, inner]) =>
      choicesIn(inner as z.ZodType, (value as Record<string, unknown>)[key], [...path, key]),
    );
  });
}

/** The path of each option, by its key, but those of lists. */
export function optionPaths(schema: z.ZodType, path: readonly string[] = []): Map<string, string[]> {
  const paths = new Map<string, string[]>();
  for (const node of alternatives(schema)) {
    if (choiceOf(node) !== undefined) continue;
    for (const [key, inner] of Object.entries(node.def.shape ?? {})) {
      const here = [...path, key];
      paths.set(key, [...(paths.get(key) ?? []), here.join('.')]);
      for (const [deeper, found] of optionPaths(inner as z.ZodType, here))
        paths.set(deeper, [...(paths.get(deeper) ?? []), ...found]);
    }
  }
  return paths;
}
