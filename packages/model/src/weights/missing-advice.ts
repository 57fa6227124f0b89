import { quoteValue, shortList } from '@glulam/files';
import type { CheckpointConfig } from '../families/checkpoint-config.js';
import { weightName, type ModelSpec } from '../families/model-spec.js';

export interface AdviceContext {
  readonly config: CheckpointConfig;
  readonly spec: ModelSpec;
  /** Names in the files that are none of the model's. */
  readonly unread: readonly string[];
  /** The model's name of a stored tensor, if it is one of the model's. */
  nameOf(stored: string): string | undefined;
}

/** What programs put into the names of a model's tensors when it is saved from inside of a wrapper, and what to save instead. */
const wrappers: readonly {
  readonly part: RegExp;
  readonly name: string;
  readonly by: string;
  readonly save: string;
}[] = [
  { part: /(?<=^|\.)_orig_mod\./g, name: '_orig_mod.', by: 'torch.compile', save: 'model._orig_mod' },
  {
    part: /(?<=^|\.)_fsdp_wrapped_module\./g,
    name: '_fsdp_wrapped_module.',
    by: 'FSDP',
    save: 'the full state dict of the unwrapped model',
  },
  {
    part: /(?<=^|\.)_checkpoint_wrapped_module\./g,
    name: '_checkpoint_wrapped_module.',
    by: "PyTorch's checkpoint_wrapper",
    save: 'the unwrapped model',
  },
  {
    part: /^module\./g,
    name: 'module.',
    by: 'DataParallel, DistributedDataParallel or DeepSpeed',
    save: 'model.module',
  },
  { part: /^base_model\.model\./g, name: 'base_model.model.', by: 'PEFT', save: 'model.merge_and_unload()' },
  { part: /(?<=\.)base_layer\./g, name: 'base_layer.', by: 'PEFT', save: 'model.merge_and_unload()' },
  {
    part: /(?<=^|\.)language_model\./g,
    name: 'language_model.',
    by: 'a multi-modal model',
    save: 'its language model alone, with a config.json of its own',
  },
];

export const otherHeads = /^(score|classifier|qa_outputs|v_head|value_head|reward_head|regression_head)\./;

/** Whether `architectures` names a head other than a language model's. */
export function namesOtherHead({ fields }: CheckpointConfig): boolean {
  const architectures = fields['architectures'];
  return (
    Array.isArray(architectures) &&
    architectures.some((name) => typeof name === 'string' && /For(?!CausalLM$)\w+$/.test(name))
  );
}

/** What to do where tensors are missing; undefined where only another download can help. */
export function missingAdvice(missing: readonly string[], context: AdviceContext): string | undefined {
  const head = weightName(context.spec.head.name);
  if (missing.length === 1 && missing[0] === head) return headAdvice(context);
  return wrapperAdvice(missing, context) ?? biasAdvice(missing, context);
}

/** transformers makes such biases zeros, with a warning. */
function biasAdvice(missing: readonly string[], { config }: AdviceContext): string | undefined {
  if (!missing.every((name) => name.endsWith('.bias'))) return undefined;
  const keys = ['attention_bias', 'mlp_bias'].filter((key) => config.fields[key] === true);
  return (
    `config.json says that there are biases (${keys.join(', ')}), and the files lack ${missing.length} of them. transformers takes the missing ones as zeros: ` +
    'if that is right, save the model with it (from_pretrained, then save_pretrained), or write false into config.json where the files have no biases at all.'
  );
}

function headAdvice({ config, spec, unread }: AdviceContext): string {
  const architectures = config.fields['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : architectures;
  const others = unread.filter((name) => otherHeads.test(name));
  const saved = typeof architecture === 'string' ? ` (architectures: ${quoteValue(architecture)})` : '';
  if (others.length > 0 || (typeof architecture === 'string' && /For(?!CausalLM$)\w+$/.test(architecture)))
    return (
      `The checkpoint${saved} has another head${others.length > 0 ? `, ${shortList(others)},` : ''} and no language-model head, ` +
      'so it predicts no tokens. Use the language model that it was made from.'
    );
  const tied =
    config.fields['tie_word_embeddings'] === undefined
      ? 'has no tie_word_embeddings, so the model'
      : 'says tie_word_embeddings: false, so the model';
  return (
    `config.json ${tied} needs its own ${weightName(spec.head.name)}, and this checkpoint${saved} was saved without one: use one that ` +
    'was saved with its head (AutoModelForCausalLM). If the head is the embedding, write "tie_word_embeddings": true into config.json.'
  );
}

function wrapperAdvice(missing: readonly string[], { unread, nameOf }: AdviceContext): string | undefined {
  const wanted = new Set(missing);
  const unique = (texts: readonly string[]): string => [...new Set(texts)].join(' and ');
  const remove = (parts: readonly string[]): string =>
    `remove ${parts.map((part) => JSON.stringify(part)).join(' and ')} from the names (load_file and save_file of safetensors.torch)`;
  for (const name of unread) {
    const used = wrappers.filter(({ part }) => name.search(part) >= 0);
    const bare = nameOf(used.reduce((text, { part }) => text.replace(part, ''), name));
    if (bare === undefined || !wanted.has(bare)) continue;
    const by = unique(used.map((wrapper) => wrapper.by));
    const parts = used.map((wrapper) => wrapper.name);
    const found = `The names have ${parts.map((part) => JSON.stringify(part)).join(' and ')} in them, from ${by}: ${bare} is stored as ${name}.`;
    const save = `Instead, save ${unique(used.map((wrapper) => wrapper.save))}`;
    // What an adapter adds to the weights would be lost.
    return `${found} ${save}${by.includes('PEFT') ? '' : `, or ${remove(parts)}`}.`;
  }
  for (const name of missing) {
    const found = unread.find((other) => other.endsWith(`.${name}`));
    if (found === undefined) continue;
    const prefix = found.slice(0, -name.length);
    return `${name} is stored as ${found}. If all names begin with ${JSON.stringify(prefix)}, ${remove([prefix])}.`;
  }
  return undefined;
}
