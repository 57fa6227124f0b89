import { testEngine } from '@glulam/testing';
import { openTfjsEngine } from './open-engine.js';

for (const backend of process.env.GT ? ([process.env.GT as 'node'] as const) : (['cpu', 'wasm'] as const)) {
  testEngine(`tfjs on ${backend}`, (precision) => openTfjsEngine({ backend, precision }));
}
