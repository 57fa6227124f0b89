import {
  checkpointReaders,
  createBaseWeights,
  families,
  openCheckpoint,
  weightName,
  type BaseWeights,
  type Checkpoint,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { engines, type Engine, type Precision } from '@glulam/tensors';
import { choose } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { resolvePrecision } from './describe-model.js';

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

/** Options of `openBase`. */
export interface OpenBaseOptions {
  /** The config's base, if its files were looked through already. */
  readonly checkpoint?: Checkpoint | undefined;
  /** An earlier engine's `choice`, to compute as that one did. */
  readonly engineChoice?: string | undefined;
}

/** Look through the files of a config's base. Throws ModelError and FilesError where they cannot be used. */
export const openRunCheckpoint = (config: RunConfig, composition: Composition): Promise<Checkpoint> =>
  openCheckpoint(config.base, composition.all(families), composition.all(checkpointReaders));

/** Open a config's base on its engine. Throws ModelError, FilesError and TensorsError where its files cannot be used. */
export async function openBase(
  config: RunConfig,
  composition: Composition,
  { checkpoint: opened, engineChoice: choice }: OpenBaseOptions = {},
): Promise<OpenBase> {
  const checkpoint = opened ?? (await openRunCheckpoint(config, composition));
  const { contribution, options } = choose(composition, engines, 'engine', config.engine);
  const engine = await contribution.open(options, { precision: precisionOf(config, checkpoint), choice });
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

/** The precision that a config names, or that suits the base. */
export const precisionOf = (config: RunConfig, { files, spec }: Pick<Checkpoint, 'files' | 'spec'>): Precision =>
  resolvePrecision(config.precision, files.source(weightName(spec.embedding.name)).dtype);
