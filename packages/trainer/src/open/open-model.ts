import { readAdapter } from '@glulam/export';
import { eventLoopTurns } from '@glulam/files';
import {
  adapters,
  openDecoder,
  readFirstValues,
  type Adapter,
  type AdapterChoice,
  type AdapterValues,
  type Decoder,
  type Route,
  type Tokenizer,
  type VirtualLayer,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import type { RunConfig } from '../config/config.js';
import { openRunTokenizer } from '../data/prompt/chat-template-choice.js';
import { describeModel, type ModelDescription } from './describe-model.js';
import { openBase, openRunCheckpoint, type OpenBase, type OpenBaseOptions } from './open-base.js';

/** What is bound to a base: a `ModelDescription`, or an adapter as `readAdapter` gives it. */
export interface BoundParts {
  /** Default: each physical layer once. */
  readonly layers?: readonly VirtualLayer[] | undefined;
  /** The steps of a pass; default: each virtual layer once, in order. Of a decoder with another one no adapter files are written. */
  readonly route?: Route | undefined;
  /** What is trained. */
  readonly adapter: Adapter | undefined;
  /** Of its tensors; default: first values. */
  readonly values?: AdapterValues | undefined;
}

/** Options of `bindModel`. */
export interface BindOptions {
  /** Of first values. */
  readonly seed?: number | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Bind virtual layers and an adapter to a base that is open: a fresh adapter, as `describeModel` describes it, or a saved one with its
 * values. The decoder is the caller's to close, before the base.
 */
export async function bindModel(
  { engine, checkpoint, weights }: OpenBase,
  { layers, route, adapter, values }: BoundParts,
  { seed, signal }: BindOptions = {},
): Promise<Decoder> {
  const fresh = values === undefined;
  return openDecoder({
    ...{ engine, checkpoint, layers, route, adapter, weights, seed, signal },
    adapterValues: values,
    firstValues: fresh ? await readFirstValues({ engine, checkpoint, weights, layers, adapter, signal }) : undefined,
  });
}

/** A model on its engine, with its tokenizer; `close` ends both. */
export interface OpenModel {
  /** The expanded model with its adapter. */
  readonly decoder: Decoder;
  /** The run's. */
  readonly tokenizer: Tokenizer;
  /** What `writeAdapter` notes of the adapter. */
  readonly adapterChoice: AdapterChoice;
  /** For users: what the files of the base or an adapter, or the expansion, say that has no effect here. */
  readonly warnings: readonly string[];
  /** Release the model, and the base if it is the model's own. */
  close(): Promise<void>;
}

/** Options of `openModel`. */
export interface OpenModelOptions extends OpenBaseOptions {
  /** A saved adapter; default: a fresh one. */
  readonly adapterFolder?: string | undefined;
  /** The run's, if it is open already. */
  readonly tokenizer?: Tokenizer | undefined;
  /** What the config makes of the base, if it was described already; without effect on a saved adapter. */
  readonly described?: ModelDescription | undefined;
  /** A base that is open already, of the same config but for what is made of it, and stays open; default: one of its own. */
  readonly base?: OpenBase | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Open the base, expand it and put the adapter on: a fresh one, or the one saved in `adapterFolder`. Everything that can
 * be wrong is checked from headers and configs before the engine starts.
 */
export async function openModel(
  config: RunConfig,
  composition: Composition,
  options: OpenModelOptions = {},
): Promise<OpenModel> {
  const { adapterFolder, described, base: shared, engineChoice, signal } = options;
  const next = eventLoopTurns(signal);
  await next();
  const checkpoint = shared?.checkpoint ?? options.checkpoint ?? (await openRunCheckpoint(config, composition));
  const { spec, documents } = checkpoint;
  const tokenizer = options.tokenizer ?? openRunTokenizer(config, documents, spec.vocabularySize);
  await next();
  const model =
    adapterFolder === undefined
      ? (described ?? describeModel(config, composition, spec))
      : readAdapter(adapterFolder, composition.all(adapters), spec);
  const base = shared ?? (await openBase(config, composition, { checkpoint, engineChoice }));
  const close = async (): Promise<void> => {
    if (shared === undefined) await base.close();
  };
  try {
    const decoder = await bindModel(base, model, { seed: config.seed, signal });
    return {
      decoder,
      tokenizer,
      adapterChoice: model.choice,
      warnings: [...checkpoint.warnings, ...tokenizer.warnings, ...model.warnings],
      async close() {
        decoder.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
