import { point } from '@glulam/plugin';
import type { z } from 'zod';
import type { RunEvents } from './events.js';

/** Tells people or programs of a run, from its events alone. */
export interface ReporterContribution<Options = unknown> {
  readonly kind: string;
  readonly schema: z.ZodType<Options>;
  /** Begin to listen; returns how to end. */
  open(options: Options, events: RunEvents): () => void;
}

export const reporters = point<ReporterContribution>('trainer.reporters');
