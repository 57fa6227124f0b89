import { testEngine } from '@glulam/testing';
import { describe, expect, it } from 'vitest';
import { loadAddon } from './addon.js';
import { createNativeEngine } from './native-engine.js';

const { isas } = loadAddon();
for (const isa of ['plain', 'avx2', 'avx512', 'neon'] as const) {
  if (!isas.includes(isa)) {
    describe.skip(`engine native on ${isa}: this machine has only ${isas.join(', ')}`, () => {
      it('is not tested', () => expect.unreachable());
    });
    continue;
  }
  for (const threads of [1, 2]) {
    testEngine(`native on ${isa}, threads: ${threads}`, (precision) =>
      Promise.resolve(createNativeEngine({ precision, isa, threads })),
    );
  }
}
