import type { AdapterSelection, ChosenAdapter, Decoder } from '@glulam/model';
import { describeCopies, openAdapters, type InputOptions, type OpenAdapters } from '@glulam/trainer';
import { bringInputs } from '../runs/bring-inputs.js';
import { adaptersType, callTypes, checkOptions, checkSource, type OptionTypes } from '../config/check-options.js';
import { openCall, type Call, type CallOptions } from '../call.js';
import { namedAdapter } from './adapter-choice.js';
import { loadModel, type NamedModel } from './load-model.js';
import type { GlulamConfig } from '../config/define-config.js';
import { GlulamError } from '../errors.js';
import { loadConfig, type LoadedConfig } from '../config/load-config.js';
import { withRecordedPlugins } from '../runs/with-recorded-plugins.js';

/**
 * What names a model: a run folder or one of its checkpoints, an adapter folder, a base checkpoint, each here or on the
 * Hub, or a config file; or a config as a record, whose model is taken as it is before training.
 */
export type ModelSource = string | GlulamConfig;

/** A folder of an adapter or of a run that has one, by itself or with its weight in a sum. */
export type AdapterChoices = readonly (string | ChosenAdapter)[];

/** Options of `openModel`. */
export interface OpenModelOptions extends CallOptions {
  /**
   * Adapters in place of the source's own, summed by their weights; `none`: the expanded layers alone; `base`: the base as
   * it is, each layer once. Default: the source's own adapter.
   */
  readonly adapters?: AdapterChoices | 'none' | 'base' | undefined;
}

export const openModelTypes: OptionTypes<OpenModelOptions> = { ...callTypes, adapters: adaptersType };

/**
 * Check the model that a function was called with: an opened one is as it was opened.
 *
 * @throws GlulamError USAGE
 */
export function checkModel(name: string, model: ModelSource | OpenedModel, options: OpenModelOptions): void {
  if (!isOpen(model)) return checkSource(name, model);
  const [late] = (['adapters', 'overrides', 'folder'] as const).filter((key) => options[key] !== undefined);
  if (late !== undefined)
    throw new GlulamError(
      'USAGE',
      `${name}: the model is open already, so the option ${late} has no effect; give it to openModel`,
    );
}

/** Whether it is a model itself and not what names one. */
export const isOpen = (model: ModelSource | OpenedModel): model is OpenedModel =>
  typeof model === 'object' && (model as object | null) !== null && 'decoder' in model;

/** A model with adapters to choose from and those chosen; `close` frees it. */
export interface OpenedModel extends OpenAdapters, LoadedConfig {
  /** The adapters chosen. */
  readonly selection: AdapterSelection;
  /** The folder of the run that was named, or whose checkpoint was. */
  readonly run: string | undefined;
  /** The decoder with these adapters: what functions of `@glulam/model` take. */
  readonly decoder: Decoder;
}

/**
 * Open a model for generation and scoring, to be used any number of times by `generate`, `evaluate` and the functions of
 * `@glulam/model`. Whoever opens it closes it.
 *
 * @throws GlulamError RUN_NOT_FOUND, and what `loadConfig` and opening its files throw, each with a `code`
 */
export async function openModel(source: ModelSource, options: OpenModelOptions = {}): Promise<OpenedModel> {
  checkSource('openModel', source);
  checkOptions('openModel', options, openModelTypes, {
    example: "openModel('runs/mine', { adapters: ['runs/other'] })",
  });
  const call = openCall(options);
  try {
    const model = await openChosen(source, options, call, { data: false });
    return {
      ...model,
      async close() {
        await model.close();
        await model.composition.end();
      },
    };
  } catch (error) {
    await call.end();
    throw error;
  } finally {
    call.close();
  }
}

/** What a source names, with its files on this machine. */
export async function loadSource(
  source: ModelSource,
  { folder, overrides = {}, onFault }: CallOptions,
  call: Call,
  wanted: InputOptions,
): Promise<NamedModel> {
  call.signal.throwIfAborted();
  if (typeof source === 'string') return loadModel(source, overrides, call, wanted);
  const loaded = await loadConfig(source, overrides, folder, { signal: call.signal, onFault });
  call.attach(loaded.composition);
  const brought = await bringInputs(loaded, call, wanted);
  return { loaded: brought, adapterFolder: undefined, isBase: false, note: undefined, run: undefined };
}

export async function openChosen(
  source: ModelSource,
  options: OpenModelOptions,
  call: Call,
  wanted: InputOptions,
): Promise<OpenedModel> {
  const { loaded, adapterFolder, isBase, note, run } = await loadSource(source, options, call, wanted);
  const { config, composition } = loaded;
  const name = typeof source === 'string' ? source : 'config';
  const own = adapterFolder === undefined ? undefined : { name, folder: adapterFolder };
  composition.warnings.forEach(call.warn);

  const { adapters } = options;
  const given = Array.isArray(adapters) ? chosen(adapters as AdapterChoices) : [];
  const without = adapters === 'none' || adapters === 'base' ? adapters : undefined;
  const others = given.filter((each) => each.name !== own?.name).map((each) => namedAdapter(each.name));
  const plain = own === undefined && given.length === 0 && without === undefined;
  const untrained = plain && !(isBase && config.expansion === undefined) ? 'untrained' : undefined;
  const selection = ((): AdapterSelection => {
    if (without !== undefined) return without;
    if (given.length > 0) return given;
    const only = own?.name ?? untrained;
    return only === undefined ? 'none' : [{ name: only, weight: 1 }];
  })();

  const named = typeof selection === 'string' ? [] : selection.map((each) => each.name);
  const notes = [named.includes(name) ? note : undefined, ...others.map((each) => each.note)];
  for (const line of notes) if (line !== undefined) call.warn(line);
  const opened = await withRecordedPlugins(loaded, () =>
    openAdapters(config, composition, { own, others, untrained, signal: call.signal }),
  );
  opened.warnings.forEach(call.warn);
  try {
    const decoder = await opened.set.decoder(selection, call.signal);
    describeCopies(decoder.engine).forEach(call.warn);
    return { ...opened, ...loaded, run, selection, decoder };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Adapters with their weights. */
export const chosen = (adapters: AdapterChoices): ChosenAdapter[] =>
  adapters.map((each) => (typeof each === 'string' ? { name: each, weight: 1 } : each));
