import { quoteValue } from '@glulam/files';
import { layerTypes, type ModelSpec } from './model-spec.js';

/** What is known of a model when its config's other keys are checked. */
interface KeyContext {
  readonly modelType: string;
  /** As its family read it. */
  readonly spec: ModelSpec;
}

/**
 * Keys that the family did not read, one by one: what the generic code of transformers (of `PreTrainedConfig`, masks and
 * caches, for every model type) does with them. What a model's own class reads is its family's to follow or to refuse.
 *
 * @returns faults, for keys that change the result and are not followed, and lines for users on those without effect
 */
export function checkKeys(
  fields: Readonly<Record<string, unknown>>,
  context: KeyContext,
): { readonly faults: readonly string[]; readonly reports: readonly string[] } {
  const faults: string[] = [];
  const reports: string[] = [];
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (withoutEffect.has(key)) continue;
    const [refusal, report] = [refused.get(key), reported.get(key)];
    const stated = `${key} is ${quoteValue(value)}`;
    if (refusal !== undefined) {
      if (!refusal.allows(value, context)) faults.push(`${stated}; ${refusal.why}`);
    } else if (report !== undefined) {
      reports.push(...report(value, context, stated));
    } else if (value !== null) {
      unknown.push(key);
    }
  }
  if (unknown.length > 0)
    reports.push(
      `${unknown.join(', ')}: no effect, neither transformers nor Glulam reads this of a model of type "${context.modelType}"`,
    );
  return { faults, reports };
}

/** Keys that change no number of any model, by the reason why. */
const reasons: Readonly<Record<string, readonly string[]>> = {
  'says where the checkpoint comes from and what wrote it': [
    ...['model_type', '_name_or_path', 'name_or_path', '_commit_hash', 'transformers_version', 'tokenizer_class'],
    ...['task_specific_params', 'finetuning_task', 'custom_pipelines', 'unsloth_version', 'unsloth_fixed'],
  ],
  'weights are loaded, not drawn': ['initializer_range'],
  'the dtype of the tensors in the files decides; this one counts where only a plan is made': ['dtype', 'torch_dtype'],
  'the same numbers, computed in another order': [
    ...['pretraining_tp', 'chunk_size_feed_forward', 'attn_implementation', '_attn_implementation', 'use_bfloat16'],
    ...['_attn_implementation_autoset', '_flash_attn_2_enabled', 'gradient_checkpointing', 'use_cache', 'torchscript'],
  ],
  'says what a call returns': [
    ...['output_attentions', 'output_hidden_states', 'output_scores', 'return_dict', 'return_dict_in_generate'],
    ...['tie_last_hidden_states'],
  ],
  'belongs to heads other than the language model’s': ['id2label', 'label2id', 'num_labels', 'problem_type'],
  'tokens: the tokenizer’s files say them, and those that end a text are read with them': [
    ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'sep_token_id', 'decoder_start_token_id', 'prefix'],
  ],
  'text is sampled as each command’s options say': [
    ...[
      'do_sample',
      'temperature',
      'top_k',
      'top_p',
      'typical_p',
      'min_p',
      'max_length',
      'min_length',
      'max_new_tokens',
    ],
    ...[
      'early_stopping',
      'num_beams',
      'num_beam_groups',
      'diversity_penalty',
      'num_return_sequences',
      'length_penalty',
    ],
    ...['repetition_penalty', 'no_repeat_ngram_size', 'encoder_no_repeat_ngram_size', 'bad_words_ids'],
    ...['forced_bos_token_id', 'forced_eos_token_id', 'remove_invalid_values', 'exponential_decay_length_penalty'],
    ...['suppress_tokens', 'begin_suppress_tokens', 'cache_implementation'],
  ],
  'a decoder has nothing that it would change': [
    ...['is_decoder', 'cross_attention_hidden_size', 'tie_encoder_decoder', 'use_return_dict', 'tf_legacy_loss'],
  ],
};
const withoutEffect: ReadonlySet<string> = new Set(Object.values(reasons).flat());

interface Refusal {
  readonly why: string;
  allows(value: unknown, context: KeyContext): boolean;
}

const isEmpty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0);
const nestedModel: Refusal = {
  allows: isEmpty,
  why: 'a model inside of another is not supported: use the checkpoint of the language model alone',
};

/** Keys that change the result of any model type, unless they have a value that does not. */
const refused: ReadonlyMap<string, Refusal> = new Map(
  Object.entries<Refusal>({
    is_causal: { allows: (value) => value === true, why: 'expected true: tokens see those before them only' },
    is_encoder_decoder: {
      allows: (value) => value === false || value === null,
      why: 'expected false, a decoder alone',
    },
    per_layer_config: { allows: isEmpty, why: 'expected layers that are all alike' },
    num_kv_shared_layers: {
      allows: (value) => value === null || value === 0,
      why: 'expected 0: layers that share keys and values are not supported',
    },
    attribute_map: { allows: isEmpty, why: 'expected fields under their own names' },
    layer_types: {
      allows: (value, { spec }) => value === null || JSON.stringify(value) === JSON.stringify(layerTypes(spec)),
      why: 'expected none, or the kind of attention that this family computes in each layer',
    },
    text_config: nestedModel,
    decoder: nestedModel,
    generator: nestedModel,
  }),
);

type Report = (value: unknown, context: KeyContext, stated: string) => string[];

const onlyInCache: Report = (value, _, stated) =>
  value === null
    ? []
    : [
        `${stated}, which has no effect: transformers computes this model without it too, and only its generation cache drops older tokens`,
      ];

/** Keys without effect here that a user should know of. */
const reported: ReadonlyMap<string, Report> = new Map(
  Object.entries<Report>({
    attention_dropout: (value, _, stated) =>
      value === null || value === 0
        ? []
        : [
            `${stated}: transformers drops attention weights in training, Glulam does not; results outside of training are the same`,
          ],
    sliding_window: onlyInCache,
    attention_chunk_size: onlyInCache,
    add_cross_attention: (value, _, stated) =>
      value === true ? [`${stated}, which has no effect: the model has no encoder to attend to`] : [],
    auto_map: (value, { modelType }) =>
      isEmpty(value)
        ? []
        : [
            `auto_map names code that comes with the checkpoint; it is not run: model_type "${modelType}" says what is computed`,
          ],
    architectures: (value, { modelType }) => {
      const names = Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
      const plain = modelType.toLowerCase().replace(/[^a-z0-9]/g, '');
      return names.flatMap((name) => {
        if (!/ForCausalLM$|LMHeadModel$/.test(name))
          return [
            `architectures names ${name}, which is no causal language model; it is read as one, by its model_type "${modelType}"${/For[A-Z]/.test(name) ? ', and any other head is not read' : ''}`,
          ];
        if (!name.toLowerCase().startsWith(plain))
          return [`architectures names ${name}; model_type "${modelType}" says what is computed`];
        return [];
      });
    },
  }),
);
