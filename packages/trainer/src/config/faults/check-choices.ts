import { guardCall, point, type Composition } from '@glulam/plugin';
import type { z } from 'zod';
import { nearest } from './advise-key.js';
import type { ConfigFault } from './config-fault.js';
import { findOptionFaults } from './find-faults.js';
import { choicesIn } from './schema-walk.js';

interface Kind {
  readonly kind: string;
  readonly schema?: z.ZodType;
}

interface CheckChoicesOptions {
  /** Kinds that are not installed are faults; false: the plugins that bring them may be still to come. */
  readonly all: boolean;
}

/** What is wrong with the kinds that a config chooses, and with their options. */
export function checkChoices(
  schema: z.ZodType,
  value: unknown,
  composition: Composition,
  { all }: CheckChoicesOptions,
  place: readonly string[] = [],
): ConfigFault[] {
  return choicesIn(schema, value, place).flatMap(({ path, point: id, schema: choice, common, value: written }) => {
    const parsed = choice.safeParse(written);
    if (!parsed.success) return []; // found by the config's schema
    const { kind } = parsed.data as Kind;
    const role = point<Kind>(id);
    const contribution = composition.find(role, kind);
    if (contribution === undefined) {
      if (!all) return [];
      const known = composition.all(role).map((each) => each.kind);
      return [unknownKind(path, kind, known)];
    }
    const options = Object.entries(written as object).filter(([key]) => !common.includes(key));
    const { schema: own } = contribution;
    if (own === undefined) return [];
    return guardCall(contribution, 'the schema', () => findOptionFaults(own, Object.fromEntries(options), path));
  });
}

/** Of a choice `{ kind }` whose kind no plugin brings. */
export function unknownKind(path: readonly string[], kind: string, known: readonly string[]): ConfigFault {
  const near = nearest(kind, known);
  const hint = near === undefined ? 'installed' : `did you mean "${near}"? Installed`;
  return { path: [...path, 'kind'], problem: ` is "${kind}"; ${hint} kinds: ${known.join(', ') || 'none'}` };
}
