import { mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createOperations, scope, toBfloat16Bits, type WeightSource } from '@glulam/tensors';
import { afterAll, describe, expect, it } from 'vitest';
import { createNativeEngine } from './native-engine.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-weights-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A bfloat16 weight of [rows, columns] whose row r is all `(r % 7) / 8`, some bytes into a file. */
function writeWeight(name: string, rows: number, columns: number, byteOffset: number): WeightSource {
  const file = path.join(folder, name);
  const to = openSync(file, 'w');
  writeSync(to, Buffer.alloc(byteOffset, 255));
  for (let row = 0; row < rows; row++) writeSync(to, new Uint16Array(columns).fill(toBfloat16Bits((row % 7) / 8)));
  closeSync(to);
  return { name, shape: [rows, columns], dtype: 'bfloat16', file, byteOffset, byteLength: rows * columns * 2 };
}

function residentMebibytes(): { anonymous: number; file: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const value = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]) / 1024;
  return { anonymous: value('RssAnon'), file: value('RssFile') };
}

describe('frozen weights', () => {
  it('are read from where they lie, at any byte offset', async () => {
    const source = writeWeight('odd', 40, 24, 13);
    for (const precision of ['float32', 'bfloat16'] as const) {
      const engine = createNativeEngine({ precision, threads: 2 });
      const weight = engine.openWeight(source);
      const rows = engine.readWeight(weight, 9, 11);
      expect(rows.shape).toEqual([2, 24]);
      expect([...(await engine.read(rows))]).toEqual([
        ...new Array<number>(24).fill(2 / 8),
        ...new Array<number>(24).fill(3 / 8),
      ]);
      const picked = engine.fused.embedding!(weight, Int32Array.of(39, 0));
      expect([...(await engine.read(picked))]).toEqual([
        ...new Array<number>(24).fill(4 / 8),
        ...new Array<number>(24).fill(0),
      ]);
      const y = createOperations(engine).frozenLinear(engine.full([3, 24], 2), weight, {}, 'float32');
      const expected = Array.from({ length: 120 }, (_, i) => 2 * 24 * (((i % 40) % 7) / 8));
      expect([...(await engine.read(y))]).toEqual(expected);
      await engine.close();
    }
  });

  it('that reach beyond their file are refused when opened', async () => {
    const source = writeWeight('short', 8, 8, 0);
    truncateSync(source.file, 100);
    const engine = createNativeEngine({ threads: 1 });
    expect(() => engine.openWeight(source)).toThrow(
      expect.objectContaining({ code: 'FILE_UNREADABLE', message: expect.stringContaining('which has 100') as string }),
    );
    expect(() => engine.openWeight({ ...source, file: path.join(folder, 'none') })).toThrow(
      expect.objectContaining({ code: 'FILE_UNREADABLE', message: expect.stringContaining('No such file') as string }),
    );
    await engine.close();
  });

  it('stay one copy, in the file, however many virtual layers use them', async ({ skip }) => {
    if (process.platform !== 'linux') {
      console.log('skipped: /proc/self/status is read on Linux only');
      skip();
    }
    const source = writeWeight('large', 4096, 8192, 8); // 64 MiB
    const engine = createNativeEngine({ precision: 'bfloat16', threads: 2 });
    const ops = createOperations(engine);
    const weight = engine.openWeight(source);
    // So that packing buffers and the like are there before the first reading.
    scope(() => void engine.matmul(engine.full([64, 8192], 1), engine.full([8192, 64], 1)));
    await engine.drain();
    const before = residentMebibytes();
    for (let virtual = 0; virtual < 6; virtual++) {
      scope(() => void ops.frozenLinear(engine.full([virtual % 2 === 0 ? 4 : 64, 8192], 1), weight, {}, 'bfloat16'));
      await engine.drain();
    }
    const after = residentMebibytes();
    console.log(
      `six products with 64 MiB: file-backed +${(after.file - before.file).toFixed(1)} MiB, anonymous +${(after.anonymous - before.anonymous).toFixed(1)} MiB`,
    );
    expect(after.file - before.file).toBeGreaterThan(60);
    expect(after.file - before.file).toBeLessThan(70);
    expect(after.anonymous - before.anonymous).toBeLessThan(24);
    await engine.close();
  });
});
