import type { Composition, Point } from '@glulam/plugin';
import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { TrainerError } from './errors.js';

interface Contribution<Options> {
  readonly kind: string;
  readonly schema: z.ZodType<Options>;
}

/** The contribution that a config's `{ kind, ...options }` chooses, and its options, checked. */
export function choose<C extends Contribution<unknown>>(
  composition: Composition,
  point: Point<C>,
  place: string,
  choice: { readonly kind: string; readonly [option: string]: unknown },
): { readonly contribution: C; readonly options: unknown } {
  const { kind, ...given } = choice;
  const contribution = composition.find(point, kind);
  if (contribution === undefined) {
    const known = composition.all(point).map((each) => each.kind);
    throw new TrainerError(
      'CONFIG_INVALID',
      `${place}.kind is "${kind}"${suggestion(kind, known)}; installed kinds: ${known.join(', ') || 'none'}`,
    );
  }
  const parsed = contribution.schema.safeParse(given);
  if (!parsed.success) throw configError(describeIssues(parsed.error, contribution.schema, place));
  return { contribution, options: parsed.data };
}

export function configError(faults: readonly string[]): TrainerError {
  return new TrainerError('CONFIG_INVALID', `the config cannot be used:\n  ${faults.join('\n  ')}`);
}

/** zod's issues as lines for people: the path, what is wrong, and for unknown keys the nearest known one. */
export function describeIssues(error: z.ZodError, schema: z.ZodType, place = ''): string[] {
  return error.issues.flatMap((issue) => {
    const path = [place, ...issue.path.map(String)].filter((part) => part !== '').join('.');
    if (issue.code !== 'unrecognized_keys') return [`${path || 'config'}: ${issue.message}`];
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => {
      const where = [path, key].filter((part) => part !== '').join('.');
      return `${where} is not an option${suggestion(key, known)}; known: ${known.join(', ')}`;
    });
  });
}

function suggestion(name: string, known: readonly string[]): string {
  const [nearest] = [...known].sort((a, b) => distance(a, name) - distance(b, name));
  return nearest !== undefined && distance(nearest, name) <= Math.max(2, name.length / 3)
    ? `; did you mean "${nearest}"?`
    : '';
}

/** The keys of the object schema at a path, through defaults, optionals and lists. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  interface Definition {
    readonly innerType?: unknown;
    readonly element?: unknown;
    readonly shape?: Record<string, unknown>;
  }
  let current: unknown = schema;
  const unwrap = (): Definition | undefined => {
    for (;;) {
      const def = (current as { def?: Definition } | undefined)?.def;
      if (def?.innerType === undefined) return def;
      current = def.innerType;
    }
  };
  for (const part of path) {
    const def = unwrap();
    current = typeof part === 'number' ? def?.element : def?.shape?.[String(part)];
  }
  return Object.keys(unwrap()?.shape ?? {});
}
