import type { Composition, Point } from '@glulam/plugin';
import type { z } from 'zod';
import { describeIssues, suggestion } from './describe-issues.js';
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

/** A TrainerError CONFIG_INVALID that lists faults. */
export function configError(faults: readonly string[]): TrainerError {
  return new TrainerError('CONFIG_INVALID', `the config cannot be used:\n  ${faults.join('\n  ')}`);
}
