import { quoteValue } from '@glulam/files';
import { documentsOf, type DocumentsOf } from '../checkpoints/documents.js';

/** What transformers' `generate` does where a field has one of these values, or null: the same as without the field. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  do_sample: [false],
  num_beams: [1],
  max_length: [20],
  min_length: [0],
  max_new_tokens: [],
  min_new_tokens: [0],
  max_time: [],
  stop_strings: [],
  penalty_alpha: [0],
  dola_layers: [],
  guidance_scale: [1],
  repetition_penalty: [1],
  encoder_repetition_penalty: [1],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  bad_words_ids: [],
  force_words_ids: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  exponential_decay_length_penalty: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  sequence_bias: [],
  token_healing: [false],
  watermarking_config: [],
};
/** Those that count where tokens are drawn. */
const drawn: Readonly<Record<string, readonly unknown[]>> = {
  temperature: [1],
  top_k: [0],
  top_p: [1],
  min_p: [0],
  top_h: [],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
};

/**
 * The defaults of a checkpoint that transformers' `generate` follows and generation here does not, as one line for users.
 * They are those of generation_config.json or, without this file, of config.json.
 *
 * @param given names of fields that the user has set
 */
export function describeGenerationDefaults(base: DocumentsOf, given: readonly string[] = []): string | undefined {
  const documents = documentsOf(base);
  const name = ['generation_config.json', 'config.json'].find((each) => documents.has(each));
  if (name === undefined) return undefined;
  const fields = JSON.parse(documents.read(name)) as Readonly<Record<string, unknown>>;
  const counted = { ...neutral, ...(fields['do_sample'] === true ? drawn : {}) };
  const isEmpty = (value: unknown): boolean =>
    value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
  const found = Object.entries(counted).flatMap(([name, values]) =>
    isEmpty(fields[name]) || values.includes(fields[name]) || given.includes(name)
      ? []
      : [`${name} ${quoteValue(fields[name])}`],
  );
  return found.length === 0
    ? undefined
    : `${documents.locate(name)}: ${found.join(', ')}: not followed, though generate of transformers does; text is generated as this command's options say`;
}
