import type { z } from 'zod';
import { describeFault } from './faults/config-fault.js';
import { faultsOfError } from './faults/find-faults.js';

/** zod's issues as lines for people: the path, what is wrong, and for unknown keys the nearest known one. */
export function describeIssues(error: z.ZodError, schema: z.ZodType, place = ''): string[] {
  return faultsOfError(error, schema, place === '' ? [] : place.split('.')).map((fault) => describeFault(fault));
}
