import { readFileSync } from 'node:fs';
import { TrainerError } from '@glulam/trainer';
import { z } from 'zod';

/** Choices with 1 for the true ones. */
export interface Choices {
  readonly choices: readonly string[];
  readonly labels: readonly number[];
}

export interface Question {
  readonly text: string;
  /** One true choice. */
  readonly mc1: Choices;
  readonly mc2: Choices;
}

const label = z.union([z.literal(0), z.literal(1)]);
const targets = z.union([
  // As the Hub has it: lists; as the benchmark's own file has it: an object of choices.
  z.strictObject({ choices: z.array(z.string()), labels: z.array(label) }),
  z
    .record(z.string(), label)
    .transform((choices) => ({ choices: Object.keys(choices), labels: Object.values(choices) })),
]);
const row = z.looseObject({ question: z.string(), mc1_targets: targets, mc2_targets: targets });

/** The benchmark's questions from a JSON array. */
export function readQuestions(file: string): Question[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TrainerError('DATA_UNREADABLE', `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch (cause) {
    throw new TrainerError('DATA_INVALID', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (!Array.isArray(rows) || rows.length === 0) {
    throw new TrainerError(
      'DATA_INVALID',
      `${file} has no questions; expected a JSON array of { question, mc1_targets, mc2_targets }`,
    );
  }
  return rows.map((value: unknown, index) => {
    const place = `${file}: question ${index + 1}`;
    const parsed = row.safeParse(value);
    if (!parsed.success)
      throw new TrainerError('DATA_INVALID', `${place} cannot be used:\n${z.prettifyError(parsed.error)}`);
    const { question, mc1_targets: mc1, mc2_targets: mc2 } = parsed.data;
    for (const [name, { choices, labels }] of Object.entries({ mc1_targets: mc1, mc2_targets: mc2 })) {
      const fault =
        choices.length !== labels.length
          ? `has ${choices.length} choices and ${labels.length} labels`
          : !labels.includes(1) || !labels.includes(0)
            ? 'needs a true choice and a false one'
            : undefined;
      if (fault !== undefined) throw new TrainerError('DATA_INVALID', `${place}: ${name} ${fault}`);
    }
    return { text: question, mc1, mc2 };
  });
}
