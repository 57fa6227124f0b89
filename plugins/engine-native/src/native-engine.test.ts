import { testEngine } from '@glulam/testing';
import { it } from 'vitest';
import { isaNames, loadAddon } from './addon.js';
import { createNativeEngine } from './native-engine.js';

const { isas } = loadAddon();
for (const isa of isaNames) {
  if (!isas.includes(isa)) {
    it(`engine native on ${isa}`, ({ skip }) => skip(`this machine has only ${isas.join(', ')}`));
    continue;
  }
  // What a kernel computes does not depend on the number of threads, and how work is shared not on the instruction set.
  for (const threads of isa === isas[0] ? [1, 2] : [2]) {
    testEngine(`native on ${isa}, threads: ${threads}`, (precision) =>
      Promise.resolve(createNativeEngine({ precision, isa, threads })),
    );
  }
}
