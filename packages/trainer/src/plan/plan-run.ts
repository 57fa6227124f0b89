import { setImmediate } from 'node:timers/promises';
import { readAdapter } from '@glulam/export';
import { eventLoopTurns } from '@glulam/files';
import {
  adapters,
  checkpointReaders,
  describeCheckpoint,
  families,
  parameterCount,
  unexpandedLayers,
  type Checkpoint,
  type VirtualLayer,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { createPlanningEngine, engines, type DeviceMemory, type PlanningEngine, type Precision } from '@glulam/tensors';
import type { Example } from '../step/batches.js';
import { choose } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { runSteps, type TrainingData } from '../data/open-data.js';
import { describeCopies } from '../open/describe-copies.js';
import { describeModel, type ModelDescription } from '../open/describe-model.js';
import { precisionOf } from '../open/open-base.js';
import { evaluationTokens } from '../evaluate/scoring-batches.js';
import { anonymousBytes } from './anonymous-memory.js';
import { availableMemory, type AvailableMemory } from './available-memory.js';
import { anyExample, foreseeMemory, type ForeseenBytes } from './foresee-memory.js';

/** What a run will be and take, found out before any weight is read. */
export interface RunPlan {
  /** As the config names it. */
  readonly base: string;
  /** The base's `model_type`. */
  readonly family: string;
  /** false: `config.json` alone was there. */
  readonly hasWeights: boolean;
  /** Layers of the base. */
  readonly physicalLayers: number;
  /** The virtual layers, in order. */
  readonly layers: readonly VirtualLayer[];
  /** Numbers of parameters. */
  readonly parameters: {
    readonly stored: number;
    /** As if each virtual layer had weights of its own. */
    readonly effective: number;
    readonly trainable: number;
  };
  /** What computes, and with what operands. */
  readonly engine: {
    readonly kind: string;
    readonly precision: Precision;
    readonly hasPlan: boolean;
    /** The most that the engine can hold, whatever the machine has. */
    readonly limit?: number | undefined;
  };
  /** The largest batch of a step. `fromData`: of the run's own data; else the largest that the config allows. */
  readonly batch: {
    readonly sequences: number;
    readonly tokens: number;
    readonly perStep: number;
    readonly fromData: boolean;
  };
  /** `train.recompute` of the config. */
  readonly recompute: boolean;
  /**
   * `process` is what this process holds already (the program, the tokenizer); `peak` includes it. `device` is the most that
   * the engine takes of a device's memory; `peak` is the machine's alone then.
   */
  readonly bytes: ForeseenBytes & { readonly process: number; readonly device: number };
  /** What the machine has, in bytes. */
  readonly memory: AvailableMemory;
  /** The device that the engine's tensors are on; undefined: they are in the machine's memory. */
  readonly device?: DeviceMemory | undefined;
  /** `weights are read again`: the run fits, but not all mapped weights beside it. `does not fit`: `train` refuses. */
  readonly verdict: 'fits' | 'weights are read again' | 'does not fit';
  /** For users: what the files of the base or an adapter, or the expansion, say that has no effect here. */
  readonly warnings: readonly string[];
}

/** What a plan wants to know of a run's own data. */
export type PlannedData = Pick<TrainingData, 'largestBatch' | 'heldOut' | 'stepsIn'>;

interface PlanOptions {
  /** Default: batches as large as the config allows. */
  readonly data?: PlannedData | undefined;
  /** The config's base, if its files were looked through already. */
  readonly checkpoint?: Checkpoint | undefined;
  /** What the config makes of it, if it was described already. */
  readonly described?: ModelDescription | undefined;
  /** An adapter that was saved goes before what the config says of the model. */
  readonly adapterFolder?: string | undefined;
  /** A model that has nothing to train is planned as it is scored; default: it is refused. */
  readonly untrained?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Nothing that only counts ever waits: timers and signals get their turn, and the plan its end, where it would drain. */
function listen(engine: PlanningEngine, signal: AbortSignal | undefined): void {
  const { drain } = engine;
  engine.drain = async () => {
    await drain.call(engine);
    await setImmediate();
    signal?.throwIfAborted();
  };
}

/** What the JavaScript heap grows by in the course of a run: young objects, buffers that wait to be collected. */
const heapGrowth = 24 * 2 ** 20;

/**
 * Plan a run from its config and the base's headers, or its `config.json` alone: one training step, and an evaluation
 * where there is one, on an engine that only counts.
 */
export async function planRun(
  config: RunConfig,
  composition: Composition,
  { data, checkpoint: opened, described, adapterFolder, untrained = false, signal }: PlanOptions = {},
): Promise<RunPlan> {
  const next = eventLoopTurns(signal);
  await next();
  const { checkpoint, hasWeights } =
    opened === undefined
      ? await describeCheckpoint(config.base, composition.all(families), composition.all(checkpointReaders))
      : { checkpoint: opened, hasWeights: true };
  await next();
  const { spec } = checkpoint;
  const saved = adapterFolder === undefined ? undefined : readAdapter(adapterFolder, composition.all(adapters), spec);
  const {
    layers = unexpandedLayers(spec.layers.length),
    adapter,
    warnings,
  } = saved ?? described ?? describeModel(config, composition, spec);
  const { contribution, options } = choose(composition, engines, 'engine', config.engine);
  const precision = precisionOf(config, checkpoint);
  const engine = contribution.plan?.(options, { precision }) ?? createPlanningEngine({ precision });
  listen(engine, signal);
  const examples = data === undefined ? largestAllowed(config) : data.largestBatch(runSteps(config, data));
  const evaluated = config.data.heldOut === undefined ? 0 : largestEvaluated(config, data);
  const model = { layers, adapter };
  const foreseen = await foreseeMemory(config, checkpoint, model, engine, { examples, evaluated, untrained, signal });

  const memory = availableMemory();
  const held = anonymousBytes();
  const device = await contribution.deviceMemory?.(options);
  const [onDevice, onHost] = device === undefined ? [0, foreseen.peak] : [foreseen.peak, 0];
  const taken = onHost + foreseen.written + heapGrowth;
  return {
    base: config.base,
    family: checkpoint.family.kind,
    hasWeights,
    physicalLayers: spec.layers.length,
    layers,
    parameters: {
      stored: parameterCount(spec),
      effective: parameterCount(spec, layers),
      trainable: foreseen.adapters / 4,
    },
    engine: {
      kind: contribution.kind,
      precision: engine.precision,
      hasPlan: contribution.plan !== undefined,
      limit: engine.limitBytes,
    },
    batch: {
      sequences: examples.length,
      tokens: examples.reduce((sum, { ids }) => sum + ids.length, 0),
      perStep: config.train.accumulate,
      fromData: data !== undefined,
    },
    recompute: config.train.recompute,
    bytes: { ...foreseen, process: held, device: onDevice, peak: held + taken },
    memory,
    ...(device && { device }),
    // What the process holds already is not in what is available.
    verdict:
      taken > memory.available ||
      foreseen.peak > (engine.limitBytes ?? Infinity) ||
      onDevice > (device?.availableBytes ?? Infinity)
        ? 'does not fit'
        : taken + foreseen.weights > memory.available
          ? 'weights are read again'
          : 'fits',
    warnings: [...checkpoint.warnings, ...warnings, ...describeCopies(engine, contribution.kind)],
  };
}

/** As many tokens as the config lets one batch have. */
function largestAllowed({ train, data }: RunConfig): readonly Example[] {
  const { maxTokens } = data;
  if (typeof train.batch === 'number') return Array.from({ length: train.batch }, () => anyExample(maxTokens));
  // A sequence that is longer than the budget is a batch by itself.
  const { tokens } = train.batch;
  if (maxTokens >= tokens) return [anyExample(maxTokens)];
  const whole = Array.from({ length: Math.floor(tokens / maxTokens) }, () => anyExample(maxTokens));
  return tokens % maxTokens === 0 ? whole : [...whole, anyExample(tokens % maxTokens)];
}

/** Held-out sequences are scored in batches; one that is longer than these is a batch by itself. */
function largestEvaluated({ data: { maxTokens } }: RunConfig, data: PlannedData | undefined): number {
  if (data === undefined) return Math.max(evaluationTokens, maxTokens);
  const lengths = data.heldOut.map(({ ids }) => ids.length);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  return Math.max(
    Math.min(
      evaluationTokens,
      lengths.reduce((sum, length) => sum + length, 0),
    ),
    longest,
  );
}
