import { quoteValue } from '@glulam/files';
import { isEmpty, linearNamesOf, normsOf, type AdapterValues, type ModelSpec } from '@glulam/model';

type Fields = Readonly<Record<string, unknown>>;

interface PeftFile {
  readonly config: Fields;
  readonly values: AdapterValues;
  /** For people: what has no use here, or is read in another way than the config says. */
  readonly warnings: readonly string[];
}

/** What PEFT's loading makes of a LoRA file beyond its config: each step may change the config or the tensors, and says so. */
export function readAsPeft(config: Fields, values: AdapterValues, spec: ModelSpec): PeftFile {
  const start: PeftFile = { config, values, warnings: [] };
  return [withoutOtherHeads, withWholeEmbeddings, withoutUnknownTargets, notedFields].reduce((file, step) => {
    const next = step(file, spec);
    return { ...file, ...next, warnings: [...file.warnings, ...(next.warnings ?? [])] };
  }, start);
}

const names = (value: unknown): string[] =>
  Array.isArray(value) ? (value as unknown[]).filter((name) => typeof name === 'string') : [];
const list = (all: readonly string[]): string => all.join(', ');

/** Heads of classifiers and the like, which no language model has; PEFT loads what is left. */
const otherHeads = ['classifier', 'score', 'qa_outputs'];

function withoutOtherHeads({ config, values }: PeftFile): Partial<PeftFile> {
  const { task_type: task, modules_to_save: saved } = config;
  const isHead = (name: string): boolean => otherHeads.includes(name.split('.').at(-1)!);
  const heads = names(saved).filter(isHead);
  const tensors = [...values.keys()].filter((name) => otherHeads.includes(name.split('.')[0]!));
  const foreign = typeof task === 'string' && task !== 'CAUSAL_LM';
  if (heads.length === 0 && tensors.length === 0 && !foreign) return {};
  const kept = names(saved).filter((name) => !isHead(name));
  const what = tensors.length > 0 ? `${list(tensors)} left out` : 'it has no tensors of a head of its own';
  return {
    config: { ...config, ...(heads.length > 0 && { modules_to_save: kept.length === 0 ? null : kept }) },
    values: new Map([...values].filter(([name]) => !tensors.includes(name))),
    warnings: [
      `the adapter is for the task ${quoteValue(task ?? null)} and is read for a language model, as PEFT reads it there: ${what}`,
    ],
  };
}

/** PEFT's `save_embedding_layers`: loading puts them in place of the base's. */
function withWholeEmbeddings({ config, values }: PeftFile, spec: ModelSpec): Partial<PeftFile> {
  const saved = names(config['modules_to_save']);
  const whole = [...values.keys()]
    .flatMap((name) => /^((?:.*\.)?(?:embed_tokens|lm_head))\.weight$/.exec(name)?.[1] ?? [])
    .filter((module) => !saved.some((name) => module.endsWith(name)));
  // A tied pair is there under both names, whichever is saved.
  const isPair = config['ensure_weight_tying'] === true && saved.some((name) => /(embed_tokens|lm_head)$/.test(name));
  if (whole.length === 0 || isPair) return {};
  return {
    config: {
      ...config,
      modules_to_save: [...saved, ...whole],
      // Of a tied pair both are one parameter, which PEFT loads into.
      ...(saved.length === 0 && spec.head.tied && { ensure_weight_tying: true }),
    },
    warnings: [
      `adapter_model.safetensors has ${list(whole)} whole (PEFT's save_embedding_layers), in place of the base's; they are kept as modules_to_save`,
    ],
  };
}

/** Names of all modules that transformers' model has; activation and rotary embedding have no tensors. */
const moduleNames = (spec: ModelSpec): Set<string> =>
  new Set(
    [
      ...[spec.embedding.name, spec.head.name, spec.finalNorm.name, spec.layersPath, 'act_fn', 'rotary_emb'],
      ...spec.layers.flatMap((layer) => normsOf(layer, spec.hiddenSize).map(({ norm }) => norm.name)),
      ...linearNamesOf(spec),
    ].flatMap((path) => path.split('.')),
  );

/** A list may name layers of many architectures; PEFT passes over what a model does not have. */
function withoutUnknownTargets({ config }: PeftFile, spec: ModelSpec): Partial<PeftFile> {
  const { target_modules: targets } = config;
  if (!Array.isArray(targets)) return {};
  const known = moduleNames(spec);
  const isUnknown = (name: unknown): boolean =>
    typeof name === 'string' && !known.has(name.split('.').at(-1)!) && !/(^|\.)\d+$/.test(name);
  const unknown = (targets as unknown[]).filter(isUnknown) as string[];
  if (unknown.length === 0 || unknown.length === targets.length) return {};
  return {
    config: { ...config, target_modules: (targets as unknown[]).filter((name) => !isUnknown(name)) },
    warnings: [`target_modules names ${list(unknown)}, which the model does not have; PEFT passes over them as well`],
  };
}

/** What changes nothing in PEFT either. */
function notedFields({ config }: PeftFile): Partial<PeftFile> {
  const { fan_in_fan_out: transposed, layers_pattern: pattern, layers_to_transform: layers } = config;
  const start = config['init_lora_weights'];
  const lonely = !isEmpty(pattern) && (layers ?? null) === null;
  return {
    config: { ...config, ...(lonely && { layers_pattern: null }) },
    warnings: [
      ...(typeof start === 'string' && start.toLowerCase() === 'lora_ga'
        ? [
            'init_lora_weights is "lora_ga": training began on a changed base, and PEFT puts the adapter on the base as it is, as is done here; one saved with path_initial_model_for_weight_conversion has true here',
          ]
        : []),
      ...(transposed === true
        ? ['fan_in_fan_out is true, which PEFT turns off for linear layers; it is not kept']
        : []),
      ...(lonely
        ? [`layers_pattern ${quoteValue(pattern)} changes nothing without layers_to_transform; it is not kept`]
        : []),
    ],
  };
}
