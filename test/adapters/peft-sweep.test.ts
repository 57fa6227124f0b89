import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { ExportError, readAdapter } from '@glulam/export';
import { writeSafetensors } from '@glulam/files';
import { openDecoder, ModelError, openCheckpoint, packTokens } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { beforeAll, describe, expect, test } from 'vitest';
import { families, freshFolder, root } from '../support/expanded.js';

// Every field of LoraConfig with other values: PEFT's numbers, or a refusal. See fixtures/peft/README.md.
interface Case {
  readonly field: string;
  readonly value: unknown;
  readonly tied: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  readonly file: number;
  /** The last token's. */
  readonly logits?: readonly number[];
  /** Where PEFT does not load it. */
  readonly error?: string;
}
const sweep = JSON.parse(readFileSync(path.join(root, 'fixtures/peft/sweep.json'), 'utf8')) as {
  readonly base: Readonly<Record<string, unknown>>;
  /** The base's tensors. */
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly ids: readonly number[];
  readonly fields: readonly string[];
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly files: readonly Readonly<Record<string, readonly number[]>>[];
  readonly cases: readonly Case[];
};
const kinds = [loraContribution, doraContribution];

/** The values of tools/peer/make_peft_sweep.py. */
function valuesOf(name: string, shape: readonly number[]): Float32Array {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const centre = /norm|magnitude/.test(name) ? 1 : 0;
  return Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => {
    let x = (hash + Math.imul(i, 2654435761)) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 2246822519) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 3266489917) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return centre + (x / 2 ** 32 - 0.5) * 0.8;
  });
}

/** What a tensor's values follow from: one name for what is one parameter, as shared biases or a tied pair. */
function sourceOf(name: string, config: Readonly<Record<string, unknown>>, tied: boolean): string {
  const plain = name.replace('base_model.model.', 'adapter.').replace('.base_layer', '');
  if (tied && plain === 'adapter.lm_head.weight') return 'adapter.model.embed_tokens.weight';
  const replication = config['layer_replication'];
  if (!plain.endsWith('_proj.bias') || plain.includes('lora_') || !Array.isArray(replication)) return plain;
  const layers = (replication as [number, number][]).flatMap(([start, end]) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
  return plain.replace(/(?<=\.layers\.)\d+/, (virtual) => `physical${layers[Number(virtual)]}`);
}

async function writeBase(tied: boolean): Promise<string> {
  const folder = path.join(freshFolder(), 'base');
  mkdirSync(folder);
  const config = { ...sweep.base, tie_word_embeddings: tied, model_type: 'llama', architectures: ['LlamaForCausalLM'] };
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  await writeSafetensors(
    path.join(folder, 'model.safetensors'),
    Object.entries(sweep.weights).flatMap(([name, shape]) =>
      tied && name === 'lm_head.weight'
        ? []
        : [{ name, shape, dtype: 'float32' as const, values: valuesOf(name, shape) }],
    ),
  );
  return folder;
}

const bases = new Map<boolean, string>();
beforeAll(async () => {
  for (const tied of [false, true]) bases.set(tied, await writeBase(tied));
});

interface Computed {
  readonly logits?: Float32Array;
  /** Why it is refused. */
  readonly message?: string;
  readonly warnings: readonly string[];
}

/** A case as computed here. */
async function compute({ config, file, tied }: Case): Promise<Computed> {
  const folder = path.join(freshFolder(), 'adapter');
  mkdirSync(folder);
  const whole = { ...sweep.defaults, ...config };
  writeFileSync(path.join(folder, 'adapter_config.json'), JSON.stringify(whole));
  await writeSafetensors(
    path.join(folder, 'adapter_model.safetensors'),
    Object.entries(sweep.files[file]!).map(([name, shape]) => {
      return { name, shape, dtype: 'float32', values: valuesOf(sourceOf(name, whole, tied), shape) };
    }),
  );
  try {
    const engine = createReferenceEngine();
    const checkpoint = await openCheckpoint(bases.get(tied)!, families);
    const { adapter, layers, values, warnings } = readAdapter(folder, kinds, checkpoint.spec);
    const decoder = await openDecoder({ engine, checkpoint, adapter, layers, adapterValues: values });
    const hidden = await decoder.forward(packTokens([[...sweep.ids]]));
    const logits = (await engine.read(decoder.logits(hidden, [sweep.ids.length - 1]))) as Float32Array;
    return { logits, warnings };
  } catch (error) {
    if (!(error instanceof ModelError || error instanceof ExportError)) throw error;
    return { message: error.message, warnings: [] };
  }
}

const far = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const largest = Math.max(...Array.from(b, Math.abs));
  return Math.max(...Array.from(b, (value, i) => Math.abs(value - a[i]!))) / largest;
};

const targetsBeyond = (value: unknown): boolean => /head|embed/.test(JSON.stringify(value));
/** What PEFT loads and is refused here: each by its field. */
const refused: Readonly<Record<string, (value: unknown) => boolean>> = {
  velora_config: () => true,
  kasa_config: () => true,
  monteclora_config: () => true,
  use_bdlora: () => true,
  use_qalora: () => true,
  alora_invocation_tokens: (value) => (value as unknown[]).length > 0,
  target_parameters: (value) => (value as unknown[]).length > 0,
  trainable_token_indices: () => true,
  init_lora_weights: (value) => /^(pissa|olora)/.test(String(value)),
  target_modules: targetsBeyond,
};

/** Fields that do not change an adapter that is read, whatever they say; those with a message are reported. */
const noEffect: Readonly<Record<string, RegExp | undefined>> = {
  auto_mapping: undefined,
  peft_version: undefined,
  base_model_name_or_path: undefined,
  revision: undefined,
  inference_mode: undefined,
  lora_dropout: undefined,
  megatron_core: undefined,
  qalora_group_size: undefined,
  corda_config: undefined,
  lora_ga_config: undefined,
  fan_in_fan_out: /fan_in_fan_out is true, which PEFT turns off/,
  loftq_config: /change nothing here and are kept as they are: loftq_config/,
  eva_config: /change nothing here and are kept as they are: eva_config/,
  runtime_config: /change nothing here and are kept as they are: runtime_config/,
  task_type: /is for the task "\w+" and is read for a language model/,
};

/** Values without effect of fields that have one. */
const reported: readonly (readonly [field: string, value: unknown, message: RegExp])[] = [
  ['rank_pattern', { a_new_one: 5 }, /rank_pattern has "a_new_one", which matches no layer/],
  ['target_modules', ['c_attn', 'down_proj', 'q_proj', 'query_key_value', 'v_proj'], /names c_attn, query_key_value/],
  ['layers_pattern', 'layers', /layers_pattern "layers" changes nothing without layers_to_transform/],
  ['modules_to_save', ['classifier'], /read for a language model/],
  ['init_lora_weights', 'lora_ga', /"lora_ga": training began on a changed base/],
];
const saysNothing = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0);

const title = ({ field, value, config }: Case): string => {
  const more = Object.keys(config).filter((other) => other !== field);
  return `${field}: ${JSON.stringify(value)}${more.length > 0 ? ` with ${more.join(', ')}` : ''}`;
};

const fieldCases = sweep.cases.filter(({ field }) => field !== '(file)');

describe('PEFT’s numbers, or a refusal by name', () => {
  test.each(fieldCases.map((each) => [title(each), each] as const))('%s', async (_, each) => {
    const { field, value, logits: expected, error } = each;
    const { logits, message, warnings } = await compute(each);
    const note = reported.find(([other, said]) => other === field && JSON.stringify(said) === JSON.stringify(value));
    const isPlain = Object.keys(each.config).length === 1;
    if (note !== undefined && isPlain) expect(warnings).toContainEqual(expect.stringMatching(note[2]));
    else if (noEffect[field] !== undefined && !saysNothing(value))
      expect(warnings).toContainEqual(expect.stringMatching(noEffect[field]));
    else expect(warnings).toEqual([]);

    // Its file has no biases of B, which PEFT then begins as zeros.
    if (field === 'lora_bias' && isPlain) expect(message).toMatch(/file lacks tensors[^]*lora_B\.bias is missing/);
    else if (expected !== undefined && refused[field]?.(value) !== true) {
      expect(message).toBeUndefined();
      expect(far(logits!, expected)).toBeLessThan(1e-4);
    } else if (expected !== undefined) expect(message).toContain(field);
    // What PEFT does not load is refused, but for a pattern that is of no use.
    else if (field !== 'layers_pattern' || !isPlain) expect(message, error).toBeDefined();
  });

  test('every field of LoraConfig is among them', () => {
    expect(sweep.fields.filter((field) => !sweep.cases.some((each) => each.field === field))).toEqual([]);
    // PEFT has no effect of these either.
    const plain = sweep.cases.find(({ field, value }) => field === 'r' && value === 2)!.logits!;
    for (const field of Object.keys(noEffect))
      for (const { logits } of sweep.cases.filter((each) => each.field === field)) expect(logits, field).toEqual(plain);
  });
});

/** Of files whose names or tensors are other than usual: what is reported, or why they are refused. PEFT loads them all. */
const forms: Readonly<Record<string, { readonly reported?: RegExp; readonly refused?: RegExp }>> = {
  'names of a raw state dict': {},
  save_embedding_layers: { reported: /has (lm_head, )?model\.embed_tokens whole \(PEFT's save_embedding_layers\)/ },
  'names without a prefix': {
    refused: /the names of 24 of its 24 tensors do not begin with base_model\.model\. \(model\.layers\.0\./,
  },
  'names of a compiled model': { refused: /names have _orig_mod, as torch\.compile adds it/ },
  'names of AutoModel': {
    refused: /names lack "model\." before "layers", as those of an adapter trained on AutoModel/,
  },
  'names of another adapter': { refused: /names have the adapter name "mine"/ },
  'a layer is missing': {
    refused: /lacks tensors that its config names[^]*layers\.2\.self_attn\.q_proj\.lora_A\.weight is missing/,
  },
  'lora_B is missing': { refused: /lacks tensors that its config names/ },
};

describe('files of other forms', () => {
  const cases = sweep.cases.filter(({ field }) => field === '(file)');
  test.each(cases.map((each) => [title(each), each] as const))('%s', async (_, each) => {
    const { logits, message, warnings } = await compute(each);
    const { reported: told, refused: why } = forms[each.value as string]!;
    if (why === undefined) {
      expect(message).toBeUndefined();
      expect(far(logits!, each.logits!)).toBeLessThan(1e-4);
    } else expect(message).toMatch(why);
    expect(warnings).toEqual(told === undefined ? [] : [expect.stringMatching(told)]);
  });
});
