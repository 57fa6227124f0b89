import type { Adapter, LinearSite } from '../adapter.js';
import type { BaseTensor } from '../../weights/base-tensors.js';
import { ModelError } from '../../errors.js';
import type { LowRankOptions } from './low-rank-options.js';
import { pythonRegex } from '../python-regex/python-regex.js';

type CopyOptions = Pick<LowRankOptions, 'bias' | 'modules_to_save' | 'ensure_weight_tying'>;

/**
 * The tensors of the model itself that PEFT trains beside low-rank adapters. A module to save is copied for each virtual
 * layer; biases stay those of the physical layer, whose virtual layers share them.
 *
 * @param hasAdapter whether a linear layer has an adapter, for `bias: 'lora_only'`
 */
export function lowRankCopies(
  { bias, modules_to_save, ensure_weight_tying }: CopyOptions,
  hasAdapter: (site: LinearSite) => boolean,
): NonNullable<Adapter['copies']> {
  const saved = modules_to_save ?? [];
  return (tensors) => {
    checkModules(saved, tensors);
    const embedding = tensors.find(({ role }) => role === 'embedding');
    const isTied = (tensor: BaseTensor): boolean =>
      ensure_weight_tying &&
      (tensor.role === 'embedding' || (tensor.role === 'head' && tensor.source === embedding?.source));
    const isSaved = (tensor: BaseTensor): boolean =>
      modulesOf(tensor).some((module) => saved.some((name) => module.endsWith(name)));
    const tiedPair = tensors.filter(isTied);
    const keepTied = tiedPair.length === 2 && tiedPair.some(isSaved);
    const isBias = (tensor: BaseTensor): boolean => tensor.kind === 'bias' && !isSaved(tensor);
    // The virtual layers of a physical one share the parameter: one adapter makes it trained for all of them.
    const adapted = new Set(
      tensors.filter((tensor) => isBias(tensor) && hasAdapter(tensor.site!)).map(({ source }) => source),
    );
    return tensors.map((tensor) => {
      if (keepTied && isTied(tensor)) return 'shared';
      if (isSaved(tensor)) return 'own';
      if (!isBias(tensor) || bias === 'none') return undefined;
      if (bias === 'all' || hasAdapter(tensor.site!)) return 'shared';
      return adapted.has(tensor.source) ? 'follows' : undefined;
    });
  };
}

/** Whether a linear layer is, or lies in, a module to save: PEFT puts no adapter there. */
export function isSavedModule(
  { path }: Pick<LinearSite, 'path'>,
  { modules_to_save }: Pick<LowRankOptions, 'modules_to_save'>,
): boolean {
  return (modules_to_save ?? []).some((name) => pythonRegex(savedPattern(name)).match(path, 'modules_to_save'));
}

/** As PEFT asks whether a linear layer is, or lies in, a module to save. */
export const savedPattern = (name: string): string => String.raw`(^|.*\.)${name}($|\..*)`;

/** The module that a tensor is of, and those around it from the decoder layer on. */
function modulesOf({ name, virtual }: BaseTensor): string[] {
  const parts = name.split('.').slice(0, -1);
  const first = virtual === undefined ? parts.length - 1 : parts.indexOf(String(virtual));
  return parts.slice(first).map((_, i) => parts.slice(0, first + i + 1).join('.'));
}

/** PEFT matches by the end of the name, and passes over what it finds nowhere. */
function checkModules(saved: readonly string[], tensors: readonly BaseTensor[]): void {
  const modules = [...new Set(tensors.flatMap(modulesOf))];
  const unknown = saved.filter((name) => !modules.some((module) => module.endsWith(name)));
  if (unknown.length === 0) return;
  const names = new Set(modules.map((module) => module.split('.').at(-1)!).filter((name) => !/^\d+$/.test(name)));
  throw new ModelError(
    'ADAPTER_INVALID',
    `modules_to_save names ${unknown.map((name) => `"${name}"`).join(', ')}, which no module of this model ends with; its modules: ${[...names].join(', ')}`,
  );
}
