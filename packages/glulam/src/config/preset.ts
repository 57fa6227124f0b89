import { adapterDora } from '@glulam/adapter-dora';
import { adapterFull } from '@glulam/adapter-full';
import { adapterLora } from '@glulam/adapter-lora';
import { dataFormats } from '@glulam/data-formats';
import { engineNative } from '@glulam/engine-native';
import { evaluatorGsm8k } from '@glulam/evaluator-gsm8k';
import { engineTfjs } from '@glulam/engine-tfjs';
import { evaluatorLoss } from '@glulam/evaluator-loss';
import { evaluatorTask } from '@glulam/evaluator-task';
import { evaluatorTruthfulqa } from '@glulam/evaluator-truthfulqa';
import { expansionInterleave } from '@glulam/expansion-interleave';
import { expansionLayerMap } from '@glulam/expansion-layer-map';
import { expansionRecipes } from '@glulam/expansion-recipes';
import { familyGemma } from '@glulam/family-gemma';
import { familyGranite } from '@glulam/family-granite';
import { familyLlama } from '@glulam/family-llama';
import { familyMistral } from '@glulam/family-mistral';
import { familyOlmo } from '@glulam/family-olmo';
import { familyPhi } from '@glulam/family-phi';
import { familyQwen } from '@glulam/family-qwen';
import { familySmollm } from '@glulam/family-smollm';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { reporterConsole } from '@glulam/reporter-console';
import { reporterJsonl } from '@glulam/reporter-jsonl';
import { reporterTensorboard } from '@glulam/reporter-tensorboard';
import { sourceHub } from '@glulam/source-hub';
import { createReferenceEngine, engines, type EngineContribution } from '@glulam/tensors';
import { createRunEvents, events, givenInCode, type GivenInCode } from '@glulam/trainer';
import { z } from 'zod';
import { describeFault } from '../call.js';

/** What `core` and `preset` take. */
export interface CoreOptions {
  /** What a config holds only a hash of; default: nothing. */
  readonly given?: GivenInCode | undefined;
  /** A listener or reporter that failed and was cut off; default: a `warning` event for the others. */
  readonly onFault?: ((owner: string, error: unknown) => void) | undefined;
}

/**
 * What no run can do without: the event stream, what was passed in code, and the plain engine to check others against.
 */
export const core = ({ given = { rows: new Map() }, onFault }: CoreOptions = {}): Plugin<
  Offer<'engine', 'reference', Record<string, never>>
> =>
  definePlugin({
    name: 'glulam',
    contract: 2,
    register(registry) {
      registry.provide(events, {
        lifetime: 'run',
        create: (_, outer) => {
          const warn = (owner: string, error: unknown): void =>
            stream.emit({ type: 'warning', time: Date.now(), message: describeFault(owner, error) });
          const stream = createRunEvents(onFault ?? warn, outer);
          return stream;
        },
        dispose: (stream) => stream.close(),
      });
      registry.provide(givenInCode, { lifetime: 'command', create: () => given });
      const reference: EngineContribution = {
        kind: 'reference',
        schema: z.strictObject({}),
        open: (_, { precision }) => Promise.resolve(createReferenceEngine({ precision })),
        probe: () => Promise.resolve([{ name: 'reference', loads: true, details: 'plain TypeScript, one thread' }]),
      };
      registry.contribute(engines, { create: () => reference });
    },
  });

type PresetPlugin = ReturnType<
  | typeof core
  | typeof engineNative
  | typeof engineTfjs
  | typeof familyMistral
  | typeof familyLlama
  | typeof familyQwen
  | typeof familyGemma
  | typeof familyOlmo
  | typeof familyPhi
  | typeof familySmollm
  | typeof familyGranite
  | typeof expansionLayerMap
  | typeof expansionInterleave
  | typeof expansionRecipes
  | typeof adapterLora
  | typeof adapterDora
  | typeof adapterFull
  | typeof evaluatorLoss
  | typeof evaluatorGsm8k
  | typeof evaluatorTruthfulqa
  | typeof evaluatorTask
  | typeof dataFormats
  | typeof reporterConsole
  | typeof reporterJsonl
  | typeof reporterTensorboard
  | typeof sourceHub
>;

/** The built-in plugins. A config's own come behind them. */
export const preset = (options: CoreOptions = {}): readonly PresetPlugin[] => [
  core(options),
  engineNative(),
  engineTfjs(),
  familyMistral(),
  familyLlama(),
  familyQwen(),
  familyGemma(),
  familyOlmo(),
  familyPhi(),
  familySmollm(),
  familyGranite(),
  expansionLayerMap(),
  expansionInterleave(),
  expansionRecipes(),
  adapterLora(),
  adapterDora(),
  adapterFull(),
  evaluatorLoss(),
  evaluatorGsm8k(),
  evaluatorTruthfulqa(),
  evaluatorTask(),
  dataFormats(),
  reporterConsole(),
  reporterJsonl(),
  reporterTensorboard(),
  sourceHub(),
];
