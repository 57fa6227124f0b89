import type { CheckpointConfig } from '../checkpoint-config.js';
import type { DecoderShape } from '../family.js';
import { quoteValue } from '../quote-value.js';
import { shortList } from '../short-list.js';

export interface AdviceContext {
  readonly config: CheckpointConfig;
  readonly shape: DecoderShape;
  /** Names in the files that are none of the model's. */
  readonly unread: readonly string[];
  /** The model's name of a stored tensor, if it is one of the model's. */
  nameOf(stored: string): string | undefined;
}

/** What programs put into the names of a model's tensors when it is saved from inside of a wrapper. */
const wrappers: readonly {
  readonly part: RegExp;
  readonly name: string;
  readonly from: string;
  readonly fix: string;
}[] = [
  { part: /(?<=^|\.)_orig_mod\./g, name: '_orig_mod.', from: 'torch.compile', fix: 'save model._orig_mod' },
  { part: /(?<=^|\.)_fsdp_wrapped_module\./g, name: '_fsdp_wrapped_module.', from: 'FSDP', fix: 'save the full state dict of the unwrapped model' }, // prettier-ignore
  { part: /(?<=^|\.)_checkpoint_wrapped_module\./g, name: '_checkpoint_wrapped_module.', from: "PyTorch's checkpoint_wrapper", fix: 'save the unwrapped model' }, // prettier-ignore
  { part: /^module\./g, name: 'module.', from: 'DataParallel, DistributedDataParallel or DeepSpeed', fix: 'save model.module' }, // prettier-ignore
  { part: /^base_model\.model\./g, name: 'base_model.model.', from: 'PEFT', fix: 'save model.merge_and_unload()' },
  { part: /(?<=\.)base_layer\./g, name: 'base_layer.', from: 'PEFT', fix: 'save model.merge_and_unload()' },
  { part: /(?<=^|\.)language_model\./g, name: 'language_model.', from: 'a multi-modal model', fix: 'save its language model alone, with a config.json of its own' }, // prettier-ignore
];

const otherHeads = /^(score|classifier|qa_outputs|v_head|value_head|reward_head|regression_head)\./;

/** What to do where tensors are missing; undefined where only another download can help. */
export function missingAdvice(missing: readonly string[], context: AdviceContext): string | undefined {
  const { head } = context.shape.names;
  if (missing.length === 1 && missing[0] === head) return headAdvice(context);
  return wrapperAdvice(missing, context);
}

function headAdvice({ config, shape, unread }: AdviceContext): string {
  const [architecture] = [config.fields['architectures']].flat() as unknown[];
  const others = unread.filter((name) => otherHeads.test(name));
  const isOther = typeof architecture === 'string' && /For(?!CausalLM$)\w+$/.test(architecture);
  if (others.length > 0 || isOther)
    return (
      `The checkpoint has another head (architectures: ${quoteValue(architecture ?? null)}` +
      `${others.length > 0 ? `, ${shortList(others)}` : ''}), which predicts no tokens. Use the language model that it was made from.`
    );
  return (
    `tie_word_embeddings is false, so the model needs its own ${shape.names.head}, and this checkpoint was saved without one` +
    `${typeof architecture === 'string' ? ` (architectures: ${quoteValue(architecture)})` : ''}: use one that was saved with its head ` +
    '(AutoModelForCausalLM). If the head is the embedding, say so in config.json: "tie_word_embeddings": true.'
  );
}

function wrapperAdvice(missing: readonly string[], { unread, nameOf }: AdviceContext): string | undefined {
  const wanted = new Set(missing);
  for (const name of unread) {
    const used = wrappers.filter(({ part }) => name.search(part) >= 0);
    const bare = nameOf(used.reduce((text, { part }) => text.replace(part, ''), name));
    if (bare === undefined || !wanted.has(bare)) continue;
    const prefixes = used.map((wrapper) => wrapper.name).join(' and ');
    const from = [...new Set(used.map((wrapper) => wrapper.from))].join(' and ');
    const fixes = [...new Set(used.map((wrapper) => wrapper.fix))].join(' and ');
    const rename = from.includes('PEFT')
      ? ''
      : `, or rename the tensors:\n${renameWith(used.map((each) => each.name))}`;
    return `The files name their tensors as ${from} does: ${bare} is there as ${name}, with ${prefixes} in it. Go back to where it was saved and ${fixes}${rename}`; // prettier-ignore
  }
  for (const name of missing) {
    const found = unread.find((other) => other.endsWith(`.${name}`));
    if (found === undefined) continue;
    const prefix = found.slice(0, -name.length);
    return `The files have ${name} as ${found}. If ${prefix} is in front of all names, remove it:\n${renameWith([prefix])}`;
  }
  return undefined;
}

/** In Python; for each file of a checkpoint in shards, and for the names in its index. */
function renameWith(parts: readonly string[]): string {
  const renamed = parts.reduce((text, part) => `${text}.replace("${part}", "")`, 'name');
  return (
    '  from safetensors.torch import load_file, save_file\n' +
    `  save_file({${renamed}: tensor for name, tensor in load_file("model.safetensors").items()}, "model.safetensors", {"format": "pt"})`
  );
}
