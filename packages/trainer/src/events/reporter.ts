import { point } from '@glulam/plugin';
import type { z } from 'zod';
import type { RunEvents } from './events.js';

/** Tells people or programs of a run, from its events alone: it asks for nothing and changes nothing. */
export interface ReporterContribution<Options = unknown> {
  /** The name by which a config chooses it. */
  readonly kind: string;
  /** Checks its options and describes them. */
  readonly schema: z.ZodType<Options>;
  /**
   * Begin to listen. Files wait for `run.started`, which names the run folder: a run that is refused leaves nothing
   * behind. Returns how to end, which resolves when everything told is written out, and may be called again.
   */
  open(options: Options, events: RunEvents): () => void | Promise<void>;
}

/** Where plugins contribute reporters. */
export const reporters = point<ReporterContribution>('trainer.reporters', { schema: 'schema', open: 'function' });
