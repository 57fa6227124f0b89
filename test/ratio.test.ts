import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { llamaFamily } from '@glulam/family-llama';
import { mistralFamily } from '@glulam/family-mistral';
import { createReferenceEngine, createTape, readFloats, scope } from '@glulam/tensors';
import { frobenius, openGolden, rowsOf } from '@glulam/testing';
import { openTfjsEngine } from '@glulam/engine-tfjs';
import { test } from 'vitest';
const root = path.resolve(import.meta.dirname, '../fixtures/golden');
test('r', async () => {
  for (const name of ['ref', ...(process.env.RB ?? 'node').split(',')]) {
    const engine = name === 'ref' ? createReferenceEngine({ precision: 'bfloat16' }) : await openTfjsEngine({ backend: name as 'node', precision: 'bfloat16' });
    const golden = openGolden(path.join(root, 'mistral-expanded-lora-bf16'));
    const decoder = golden.open(engine, [mistralFamily, llamaFamily], [loraContribution as never]);
    const tape = createTape(engine);
    const hidden = await decoder.forward(golden.batch, { tape });
    const logits = await engine.read(decoder.logits(hidden, golden.rows.map((_, i) => i))) as Float32Array;
    const count = golden.labels.filter((l) => l >= 0).length;
    const loss = scope(() => { const losses = decoder.losses(hidden, golden.labels, tape); return decoder.ops.recording(tape, () => decoder.ops.affine(decoder.ops.sumAll(losses), 1 / count, 0)); });
    const g = await tape.backward(loss);
    const ratios: [string, number][] = [];
    const exact = rowsOf(golden, 'logits32');
    ratios.push(['logits', frobenius(logits, exact).distance / frobenius(rowsOf(golden, 'logits'), exact).distance]);
    for (const [n, t] of decoder.parameters) {
      const wide = readFloats(golden.tensors.source(`grad32.base_model.model.${n}`)); const theirs = readFloats(golden.tensors.source(`grad.base_model.model.${n}`));
      ratios.push([n, frobenius(await engine.read(g.get(t)!) as Float32Array, wide).distance / frobenius(theirs, wide).distance]);
    }
    const s = ratios.map((r) => r[1]).sort((a, b) => a - b);
    console.log(name, 'n', s.length, 'median', s[s.length >> 1]!.toFixed(3), 'top', s.slice(-4).map((v) => v.toFixed(3)).join(' '), 'logits', ratios[0]![1].toFixed(3));
  }
});
