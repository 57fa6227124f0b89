import type { ModelSpec } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { describeModel, type RunConfig } from '@glulam/trainer';
import { AblationError } from './errors.js';
import { matchedAdapter } from './matched-adapter.js';
import type { VariantSettings } from './settings.js';

/** One row of an ablation: a run's config but for its seed and folder. */
export interface Variant {
  /** As reports name it, unique among the variants. */
  readonly name: string;
  /** Of its runs, below the ablation's. */
  readonly folder: string;
  /** Seed and `out` are those of the ablation's config; each run has its own. */
  readonly config: RunConfig;
  /** What it is made of, whole: its entry in the config that repeats the ablation. */
  readonly settings: Required<VariantSettings>;
}

/** The variants that a config lists, or the four that show what its expansion is worth. */
export function resolveVariants(
  config: RunConfig,
  listed: readonly VariantSettings[] | undefined,
  composition: Composition,
  spec: ModelSpec,
): Variant[] {
  const given = listed ?? defaultVariants(config, composition, spec);
  checkNames(given.map(({ name }) => name));
  return given.map(({ name, expansion = config.expansion ?? 'none', adapter }) => {
    const { expansion: _, ...rest } = config;
    const chosen = overlay(config.adapter, adapter ?? {});
    return {
      name,
      folder: folderOf(name),
      config: { ...rest, ...(expansion === 'none' ? {} : { expansion }), adapter: chosen },
      settings: { name, expansion, adapter: chosen },
    };
  });
}

/** The adapter of a variant: options over the config's, or another kind with its own. */
function overlay(adapter: RunConfig['adapter'], given: VariantSettings['adapter'] & object): RunConfig['adapter'] {
  const { kind = adapter.kind, ...options } = given;
  return kind === adapter.kind ? { ...adapter, ...options } : { kind, ...options };
}

/** The four rows of the model card whose claim this is to check. */
function defaultVariants(config: RunConfig, composition: Composition, spec: ModelSpec): VariantSettings[] {
  if (config.expansion === undefined) {
    throw new AblationError(
      'VARIANTS_INVALID',
      'the config has neither an expansion to compare with its base nor variants; give it an expansion, or list what to compare in ablation.variants',
    );
  }
  const { layers, choice } = describeModel(config, composition, spec);
  const matched = matchedAdapter(config.adapter, choice, layers, spec.layers.length);
  const onExpanded = nameOf(choice.kind, (choice.options as Record<string, unknown>)['r']);
  return [
    { name: 'base', expansion: 'none', adapter: { kind: 'none' } },
    { name: 'expanded base', adapter: { kind: 'none' } },
    { name: `base + ${nameOf(choice.kind, matched['r'])}`, expansion: 'none', adapter: matched },
    { name: `expanded + ${onExpanded}`, adapter: config.adapter },
  ];
}

function nameOf(kind: string, rank: unknown): string {
  if (typeof rank === 'number') return `${kind} r=${rank}`;
  const { first, repeats } = (rank ?? {}) as { first?: number; repeats?: number };
  return first === undefined || repeats === undefined ? kind : `${kind} r=${first} and ${repeats}`;
}

/** `expanded + lora r=8` as `expanded-lora-r-8` */
const folderOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '');

function checkNames(names: readonly string[]): void {
  const faults = names.flatMap((name, index) => {
    const folder = folderOf(name);
    if (folder === '')
      return [`ablation.variants.${index}.name is "${name}"; expected a letter or digit, to name its folder by`];
    const before = names.findIndex((other) => folderOf(other) === folder);
    return before < index
      ? [`ablation.variants.${index}.name is "${name}", which is taken: variant ${before} is "${names[before]}"`]
      : [];
  });
  if (faults.length > 0)
    throw new AblationError('VARIANTS_INVALID', `the variants cannot be told apart:\n  ${faults.join('\n  ')}`);
}
