import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** zod's issues as lines for people: the path, what is wrong, and for unknown keys the nearest known one. */
export function describeIssues(error: z.ZodError, schema: z.ZodType, place = ''): string[] {
  return error.issues.flatMap((issue) => describeIssue(issue, schema, place));
}

/** `; did you mean "..."?` where one of the known names is near enough. */
export function suggestion(name: string, known: readonly string[]): string {
  const [nearest] = [...known].sort((a, b) => distance(a, name) - distance(b, name));
  return nearest !== undefined && distance(nearest, name) <= Math.max(2, name.length / 3)
    ? `; did you mean "${nearest}"?`
    : '';
}

function describeIssue(issue: Issue, schema: z.ZodType, place: string): string[] {
  const path = [place, ...issue.path.map(String)].filter((part) => part !== '').join('.');
  const where = path || 'config';
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => {
      const name = [path, key].filter((part) => part !== '').join('.');
      return `${name} is not an option${suggestion(key, known)}; known: ${known.join(', ') || 'none'}`;
    });
  }
  // What a schema says of its alternatives itself is better than what each of them says.
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const wrongType = (branch: Issue[]) =>
      branch.flatMap((each) => (each.code === 'invalid_type' && each.path.length === 0 ? [each.expected] : []));
    // Where one alternative alone takes values of this type, what is wrong with it is what is wrong.
    const near = issue.errors.filter((branch) => wrongType(branch).length === 0);
    if (near.length === 1)
      return near[0]!.flatMap((each) => describeIssue({ ...each, path: [...issue.path, ...each.path] }, schema, place));
    const expected = [...new Set(issue.errors.flatMap(wrongType))];
    if (near.length === 0 && expected.length > 0)
      return [`${where}: ${issue.message}: expected ${expected.join(' or ')}`];
  }
  return [`${where}: ${issue.message}`];
}

interface SchemaDef {
  readonly innerType?: unknown;
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly options?: readonly unknown[];
  readonly element?: unknown;
  readonly valueType?: unknown;
}

/** The keys of the object schemas at a path, through defaults, optionals, lists, records and alternatives. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let schemas = alternatives(schema);
  for (const part of path) {
    schemas = schemas
      .map(({ shape, element, valueType }) => shape?.[String(part)] ?? element ?? valueType)
      .flatMap(alternatives);
  }
  return [...new Set(schemas.flatMap(({ shape }) => Object.keys(shape ?? {})))];
}

function alternatives(schema: unknown): SchemaDef[] {
  const { def } = (schema ?? {}) as { readonly def?: SchemaDef };
  if (def === undefined) return [];
  if (def.innerType !== undefined) return alternatives(def.innerType);
  return def.options?.flatMap(alternatives) ?? [def];
}
