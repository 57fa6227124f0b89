import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { llamaFamily } from '@glulam/family-llama';
import { mistralFamily } from '@glulam/family-mistral';
import { createReferenceEngine, type Engine, type Precision } from '@glulam/tensors';
import { expectTraining, openGolden } from '@glulam/testing';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { tfjsEngines } from '../support/tfjs-engines.js';

// Training runs that PEFT computed, on the engines in JavaScript; golden.test.ts has the native one, and all other cases.
const root = path.resolve(import.meta.dirname, '../../fixtures/golden');
const families = [mistralFamily, llamaFamily];
const adapters = [loraContribution, doraContribution];
const engines: [name: string, open: (precision: Precision) => Promise<Engine>][] = [
  ['reference', (precision) => Promise.resolve(createReferenceEngine({ precision }))],
  ...tfjsEngines(),
];

// Engines whose arithmetic is JavaScript take up to half a second a step: they run the first eight.
const isSlow = (engine: string): boolean => engine === 'reference' || /cpu/.test(engine);

describe.each(engines)('%s', (name, open) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open('float32');
  });
  afterAll(() => engine.close());

  test.each(['mistral-lora', 'mistral-expanded-lora', 'llama-expanded-lora', 'mistral-expanded-dora'])(
    '%s: training steps',
    async (example) => {
      const golden = openGolden(path.join(root, example));
      const decoder = await golden.open(engine, families, adapters);
      await expectTraining(decoder, golden, { ...golden.batch, labels: golden.labels }, isSlow(name) ? 8 : 20);
      decoder.close();
    },
  );
});
