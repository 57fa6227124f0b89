import { shortList } from '@glulam/files';
import { ModelError } from '../errors.js';

/** What PEFT puts before the name of every tensor. */
export const peftPrefix = 'base_model.model.';

/**
 * Whether PEFT would load tensors of these names.
 *
 * @throws ModelError ADAPTER_INVALID for names that it would not
 */
export function checkPrefix(names: readonly string[], file: string): void {
  const others = names.filter((name) => !name.startsWith(peftPrefix));
  if (others.length === 0) return;
  throw new ModelError(
    'ADAPTER_INVALID',
    `${file}: the names of ${others.length} of its ${names.length} tensors do not begin with ${peftPrefix} (${shortList(others)}). ` +
      'PEFT ignores such tensors: save the adapter with save_pretrained of the PeftModel, or add the prefix',
  );
}

/**
 * A tensor's name in an adapter's file without PEFT's prefix and without `default`, the adapter name that a raw state dict
 * has; undefined for what PEFT does not use. By PEFT's rules of loading: anything else would not be loaded there either.
 */
export function nameInFile(name: string): string | undefined {
  // With bias 'all' PEFT saves the biases of a module to save two times more, by its own names for the copies.
  if (/\.(original_module|modules_to_save)\./.test(name)) return undefined;
  return name
    .slice(peftPrefix.length)
    .replace(/(?<!\.lora_magnitude_vector)\.default$/, '')
    .replace(/\.default(\.[^.]+)$/, '$1')
    .replace(/\.lora_magnitude_vector\.weight$/, '.lora_magnitude_vector');
}

/** Why names of a file are not those of a model, where their form says it. */
export function explainNames(unknown: readonly string[]): string | undefined {
  const [first] = unknown;
  if (first === undefined) return undefined;
  const wrapped = unknown.find((name) => /(^|\.)(_orig_mod|module|_fsdp_wrapped_module)\./.test(name));
  if (wrapped !== undefined) {
    const [, by] = /(?:^|\.)(_orig_mod|module|_fsdp_wrapped_module)\./.exec(wrapped)!;
    return `names have ${by}, as ${by === '_orig_mod' ? 'torch.compile' : 'a wrapper for several devices'} adds it, and PEFT would load none of them: save the adapter of the model inside`;
  }
  if (unknown.every((name) => /^layers\.\d+\./.test(name)))
    return 'names lack "model." before "layers", as those of an adapter trained on AutoModel do, and PEFT would load none of them into a language model: train it on AutoModelForCausalLM, or rename the tensors';
  const [, adapter] =
    /\.(?:lora_A|lora_B|lora_embedding_A|lora_embedding_B)\.([^.]+)\.(?:weight|bias)$/.exec(first) ?? [];
  if (adapter !== undefined)
    return `names have the adapter name "${adapter}", as those of a raw state dict do: save the adapter with save_pretrained, or take the name out`;
  if (unknown.every((name) => /(^|\.)(embed_tokens|lm_head)\.lora_/.test(name)))
    return 'the file has low-rank adapters of the embedding or the output head, which are not supported';
  if (unknown.every((name) => !name.includes('.lora_')))
    return `the file has tensors of the base itself, which PEFT would load in place of the base's: name their modules in modules_to_save if that is meant`;
  return undefined;
}
