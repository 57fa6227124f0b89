import { readAdapter } from '@glulam/export';
import { eventLoopTurns } from '@glulam/files';
import {
  adapters,
  createBaseWeights,
  checkpointReaders,
  families,
  openCheckpoint,
  openDecoder,
  readFirstValues,
  weightName,
  type AdapterChoice,
  type BaseWeights,
  type Checkpoint,
  type Decoder,
  type Tokenizer,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { engines, type Engine } from '@glulam/tensors';
import { choose } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { openRunTokenizer } from '../data/prompt/chat-template-choice.js';
import { describeModel, resolvePrecision } from './describe-model.js';

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

/** A base on its engine, for any number of models: its files are mapped once, and each weight is opened once. */
export interface OpenBase {
  /** Its files and what it is made of. */
  readonly checkpoint: Checkpoint;
  /** What computes. */
  readonly engine: Engine;
  /** Opened as they are first used. */
  readonly weights: BaseWeights;
  /** Release weights and engine; models on it are closed before. */
  close(): Promise<void>;
}

/**
 * Open a config's base on its engine. Throws ModelError and TensorsError where its files cannot be used.
 *
 * @param engineChoice an earlier engine's `choice`, to compute as that one did
 */
export async function openBase(config: RunConfig, composition: Composition, engineChoice?: string): Promise<OpenBase> {
  const checkpoint = await openCheckpoint(config.base, composition.all(families), composition.all(checkpointReaders));
  const engine = await openEngine(config, composition, checkpoint, engineChoice);
  const weights = createBaseWeights(engine);
  return {
    checkpoint,
    engine,
    weights,
    async close() {
      weights.close();
      await engine.close();
    },
  };
}

/** Options of `openModel`. */
export interface OpenModelOptions {
  /** A saved adapter; default: a fresh one. */
  readonly adapterFolder?: string | undefined;
  /** The run's, if it is open already. */
  readonly tokenizer?: Tokenizer | undefined;
  /** A base that is open already, of the same config but for what is made of it, and stays open; default: one of its own. */
  readonly base?: OpenBase | undefined;
  /** An earlier engine's `choice`, to compute as that one did; without effect on a base that is open already. */
  readonly engineChoice?: string | undefined;
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
  { adapterFolder, tokenizer: opened, base: shared, engineChoice, signal }: OpenModelOptions = {},
): Promise<OpenModel> {
  const next = eventLoopTurns(signal);
  await next();
  const checkpoint =
    shared?.checkpoint ??
    (await openCheckpoint(config.base, composition.all(families), composition.all(checkpointReaders)));
  const tokenizer = opened ?? openRunTokenizer(config, checkpoint.documents, checkpoint.spec.vocabularySize);
  await next();
  const saved =
    adapterFolder === undefined ? undefined : readAdapter(adapterFolder, composition.all(adapters), checkpoint.spec);
  const { layers, adapter, choice, warnings } = saved ?? describeModel(config, composition, checkpoint.spec);

  const base = shared ?? (await openBase(config, composition, engineChoice));
  const close = async (): Promise<void> => {
    if (shared === undefined) await base.close();
  };
  const { engine, weights } = base;
  try {
    const decoder = await openDecoder({
      engine,
      checkpoint,
      layers,
      adapter,
      weights,
      adapterValues: saved?.values,
      firstValues:
        saved === undefined ? await readFirstValues({ engine, checkpoint, layers, adapter, signal }) : undefined,
      seed: config.seed,
      signal,
    });
    return {
      decoder,
      tokenizer,
      adapterChoice: choice,
      warnings: [...checkpoint.warnings, ...tokenizer.warnings, ...warnings],
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

/** The engine that a config chooses, with the precision that suits the base. */
export async function openEngine(
  config: RunConfig,
  composition: Composition,
  { files, spec }: Checkpoint,
  choice?: string,
): Promise<Engine> {
  const { contribution, options } = choose(composition, engines, 'engine', config.engine);
  const precision = resolvePrecision(config.precision, files.source(weightName(spec.embedding.name)).dtype);
  return contribution.open(options, { precision, choice });
}
