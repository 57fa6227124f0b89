import { readAdapter } from '@glulam/export';
import { eventLoopTurns } from '@glulam/files';
import {
  adapters,
  createAdapterSet,
  readFirstValues,
  unexpandedLayers,
  type AdapterSet,
  type SavedAdapter,
  type Tokenizer,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import type { RunConfig } from '../config/config.js';
import { openRunTokenizer } from '../data/prompt/chat-template-choice.js';
import { describeModel, type ModelDescription } from './describe-model.js';
import { openBase, openRunCheckpoint } from './open-base.js';

/** An adapter folder under the name that it has in a set. */
export interface NamedAdapter {
  /** By which it is chosen. */
  readonly name: string;
  /** With adapter_config.json and the tensors. */
  readonly folder: string;
}

/** A base on its engine with any number of adapters, and its tokenizer; `close` ends them all. */
export interface OpenAdapters {
  /** The adapters, and the decoders of selections of them. */
  readonly set: AdapterSet;
  /** The base's, with the config's chat template. */
  readonly tokenizer: Tokenizer;
  /** For users: what the files of the base or the adapters, or the expansion, say that has no effect here. */
  readonly warnings: readonly string[];
  /** Read an adapter folder and add it; one that does not fit is refused, and nothing has changed. Gives its warnings. */
  load(adapter: NamedAdapter, signal?: AbortSignal): Promise<readonly string[]>;
  /** Release adapters, weights and engine. */
  close(): Promise<void>;
}

interface OpenAdaptersOptions {
  /** The adapter of the run itself: its layers are the model's, whatever the config says. */
  readonly own?: NamedAdapter | undefined;
  /** Further ones. Where neither `own` nor the config's expansion says the layers, the first does. */
  readonly others?: readonly NamedAdapter[] | undefined;
  /** Add the config's own adapter with its first values, under this name. */
  readonly untrained?: string | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Open a base for generation and scoring with adapters to choose from; `openModel` is for training. */
export async function openAdapters(
  config: RunConfig,
  composition: Composition,
  { own, others = [], untrained, signal }: OpenAdaptersOptions,
): Promise<OpenAdapters> {
  const next = eventLoopTurns(signal);
  await next();
  const checkpoint = await openRunCheckpoint(config, composition);
  const { spec } = checkpoint;
  await next();
  const tokenizer = openRunTokenizer(config, checkpoint.documents, spec.vocabularySize);
  await next();
  const read = (folder: string): SavedAdapter => readAdapter(folder, composition.all(adapters), spec);
  const described = (): ModelDescription => describeModel(config, composition, spec);
  const named = own === undefined ? others : [own, ...others];
  const saved: { readonly name: string; readonly adapter: SavedAdapter }[] = [];
  for (const { name, folder } of named) {
    saved.push({ name, adapter: read(folder) });
    await next();
  }
  const rules = own === undefined && config.expansion !== undefined ? undefined : saved[0]?.adapter;
  const expanded = rules === undefined ? described() : undefined;
  const layers = expanded?.layers ?? rules?.layers ?? unexpandedLayers(spec.layers.length);

  const base = await openBase(config, composition, { checkpoint });
  const { engine, weights } = base;
  const set = createAdapterSet({ engine, checkpoint, weights, layers, seed: config.seed });
  const close = async (): Promise<void> => {
    set.close();
    await base.close();
  };
  try {
    for (const { name, adapter } of saved) await set.add(name, adapter, signal);
    if (untrained !== undefined) {
      const { adapter } = described();
      const firstValues = await readFirstValues({ engine, checkpoint, weights, layers, adapter, signal });
      await set.add(untrained, { adapter, layers, base: config.base, firstValues }, signal);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    set,
    tokenizer,
    warnings: [
      ...checkpoint.warnings,
      ...tokenizer.warnings,
      ...(expanded?.warnings ?? []),
      ...saved.flatMap(({ adapter }) => adapter.warnings),
    ],
    async load({ name, folder }, stop) {
      const adapter = read(folder);
      await set.add(name, adapter, stop);
      return adapter.warnings;
    },
    close,
  };
}
