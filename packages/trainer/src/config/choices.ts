import { guardCall, type Composition, type Point } from '@glulam/plugin';
import type { z } from 'zod';
import { unknownKind } from './faults/check-choices.js';
import { describeFault, sortFaults } from './faults/config-fault.js';
import { findOptionFaults } from './faults/find-faults.js';
import { TrainerError } from '../errors.js';

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
    throw new TrainerError('CONFIG_INVALID', describeFault(unknownKind([place], kind, known)));
  }
  const parsed = guardCall(contribution, 'the schema', () => contribution.schema.safeParse(given));
  if (!parsed.success) {
    const faults = sortFaults(findOptionFaults(contribution.schema, given, [place]));
    throw configError(faults.map((fault) => describeFault(fault)));
  }
  return { contribution, options: parsed.data };
}

/** A TrainerError CONFIG_INVALID that lists faults. */
export function configError(faults: readonly string[]): TrainerError {
  return new TrainerError('CONFIG_INVALID', `the config cannot be used:\n  ${faults.join('\n  ')}`);
}
