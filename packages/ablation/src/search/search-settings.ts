import { evaluators } from '@glulam/trainer';
import { z } from 'zod';

/** The key `search` of a config. */
export const searchSchema = z.strictObject({
  maps: z
    .array(z.array(z.tuple([z.int().min(0), z.int().min(1)])).min(1))
    .min(1)
    .optional()
    .describe(
      'Layer maps to rank, each a list of half-open intervals `[start, end)` as in `layer_map`; default: every run of layers laid out twice.',
    ),
  score: z
    .looseObject({ kind: z.string() })
    .meta({ choiceOf: evaluators.id })
    .default({ kind: 'loss' })
    .describe(
      "What maps are scored by: an evaluator whose questions can be scored by log probabilities, `{ kind: 'truthfulqa', file }`; default: the held-out loss.",
    ),
  limit: z
    .int()
    .positive()
    .default(32)
    .describe('So many held-out examples, or questions of the evaluator, are the probe, unless `score` has a limit.'),
  memory: z
    .number()
    .positive()
    .default(1024)
    .describe('Megabytes for hidden states that maps share; what does not fit is computed again.'),
});

/** The key `search` as a config may write it. */
export type SearchInput = z.input<typeof searchSchema>;
/** The key `search` after `searchSchema`. */
export type SearchSettings = z.output<typeof searchSchema>;
