import { z } from 'zod';

const label = z.union([z.literal(0), z.literal(1)]);
const targets = z
  .union([
    // As the Hub has it: lists; as the benchmark's own file has it: an object of choices.
    z.strictObject({ choices: z.array(z.string()), labels: z.array(label) }),
    z
      .record(z.string(), label)
      .transform((choices) => ({ choices: Object.keys(choices), labels: Object.values(choices) })),
  ])
  .superRefine(({ choices, labels }, context) => {
    if (choices.length !== labels.length)
      context.addIssue(`has ${choices.length} choices and ${labels.length} labels; expected one a choice`);
    else if (!labels.includes(1) || !labels.includes(0)) context.addIssue('needs a true choice and a false one');
  });

/** A question of the benchmark, with 1 for the true ones of its choices; of mc1's one is true. */
export const questionSchema = z.looseObject({ question: z.string(), mc1_targets: targets, mc2_targets: targets });
export type Question = z.output<typeof questionSchema>;
