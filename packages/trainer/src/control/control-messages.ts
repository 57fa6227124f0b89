import { z } from 'zod';

/** What another process may ask of a run. */
export const controlRequests = ['status', 'stop', 'evaluate', 'checkpoint'] as const;
/** One of them. */
export type ControlRequest = (typeof controlRequests)[number];

/** A request as it is sent: one JSON object on a line. */
export const controlRequestSchema = z.strictObject({ ask: z.enum(controlRequests) });

const stepScores = z.record(z.string(), z.record(z.string(), z.number().nullable()));

const runStatusSchema = z.object({
  run: z.string(),
  folder: z.string(),
  pid: z.int(),
  /** `opening`: data, model and plan; `closing`: its last step is done, or it was stopped. */
  state: z.enum(['opening', 'training', 'evaluating', 'closing']),
  /** Steps done. */
  step: z.int(),
  /** Of the whole run; not known while it is opening. */
  steps: z.int().optional(),
  /** Of the last step of this session. */
  loss: z.number().nullable().optional(),
  tokensPerSecond: z.number().optional(),
});
/** Where a run stands. */
export type RunStatus = z.infer<typeof runStatusSchema>;

/**
 * What a run replies, each a line: its status at once, and then for all but `status` what came of the request. `error`
 * ends the conversation.
 */
export const controlReplySchema = z.union([
  z.object({ status: runStatusSchema }),
  z.object({ checkpoint: z.object({ step: z.int(), folder: z.string() }) }),
  z.object({ evaluation: z.object({ step: z.int(), scores: stepScores }) }),
  z.object({ stopped: z.object({ step: z.int(), reason: z.string() }) }),
  z.object({ error: z.string() }),
]);
/** One reply. */
export type ControlReply = z.infer<typeof controlReplySchema>;
