import { testEngine } from '@glulam/testing';
import { it } from 'vitest';
import { loadAddon } from './addon.js';
import { createNativeEngine } from './native-engine.js';

const { isas } = loadAddon();
for (const isa of ['plain', 'avx2', 'avx512', 'neon'] as const) {
  if (!isas.includes(isa)) {
    it(`engine native on ${isa}`, ({ skip }) => skip(`this machine has only ${isas.join(', ')}`));
    continue;
  }
  for (const threads of [1, 2]) {
    testEngine(`native on ${isa}, threads: ${threads}`, (precision) =>
      Promise.resolve(createNativeEngine({ precision, isa, threads })),
    );
  }
}
