import { adapters, families, strategies } from '@glulam/model';
import type { Point } from '@glulam/plugin';
import { engines } from '@glulam/tensors';
import { dataFormats, evaluators, reporters, sources } from '@glulam/trainer';
import type { z } from 'zod';

/** What contributions of all points have in common; some have no options. */
export interface Kind {
  readonly kind: string;
  readonly schema?: z.ZodType;
}

/** What plugins do for a run, by the points that they contribute to. */
export const roles: readonly { readonly name: string; readonly point: Point<Kind> }[] = [
  { name: 'family', point: families },
  { name: 'expansion', point: strategies },
  { name: 'adapter', point: adapters },
  { name: 'engine', point: engines },
  { name: 'format', point: dataFormats },
  { name: 'evaluator', point: evaluators },
  { name: 'reporter', point: reporters },
  { name: 'source', point: sources },
];

/** The role of a point, or its id where a plugin made it. */
export const roleOf = (point: string): string => roles.find((role) => role.point.id === point)?.name ?? point;
