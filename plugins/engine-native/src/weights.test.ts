import { execFile } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { FilesError, plainSource, toBfloat16Bits, type WeightSource } from '@glulam/files';
import { createOperations, scope, type FrozenWeight, type Tensor } from '@glulam/tensors';
import { afterAll, describe, expect, it } from 'vitest';
import { createNativeEngine, type NativeEngine } from './native-engine.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-weights-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A bfloat16 weight of [rows, columns] whose row r is all `(r % 7) / 8`, some bytes into a file. */
function writeWeight(name: string, rows: number, columns: number, byteOffset: number): WeightSource {
  const file = path.join(folder, name);
  const to = openSync(file, 'w');
  writeSync(to, Buffer.alloc(byteOffset, 255));
  for (let row = 0; row < rows; row++) writeSync(to, new Uint16Array(columns).fill(toBfloat16Bits((row % 7) / 8)));
  closeSync(to);
  return plainSource({ name, shape: [rows, columns], dtype: 'bfloat16', file, byteOffset });
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
      const weight = await engine.openWeight(source);
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
    truncateSync(source.origin, 100);
    const engine = createNativeEngine({ threads: 1 });
    await expect(engine.openWeight(source)).rejects.toThrow(
      expect.objectContaining({ code: 'FILE_UNREADABLE', message: expect.stringContaining('which has 100') as string }),
    );
    const none = { name: 'none', shape: [8, 8], dtype: 'bfloat16', file: path.join(folder, 'none'), byteOffset: 0 };
    await expect(engine.openWeight(plainSource({ ...none, dtype: 'bfloat16' }))).rejects.toThrow(
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
    const weight = await engine.openWeight(source);
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

/** Bodies of JavaScript on the built package, each in a process that a bus error would end. */
const runChild = (body: string) =>
  promisify(execFile)(process.execPath, ['--input-type=module', '-e', body], {
    cwd: import.meta.dirname,
    timeout: 180_000,
  });
const built = JSON.stringify(new URL('../dist/index.js', import.meta.url).href);
const filesBuilt = JSON.stringify(new URL('../../../packages/files/dist/index.js', import.meta.url).href);

describe.runIf(process.platform === 'linux')('files that are cut short while they are mapped', () => {
  it('fail the engine with their name and the tensor’s, and no other engine', async () => {
    const source = writeWeight('cut', 512, 1024, 24);
    const other = writeWeight('beside', 512, 1024, 0);
    const engine = createNativeEngine({ threads: 2 });
    const beside = createNativeEngine({ threads: 2 });
    // Two tensors of one file: what is lost is within the second.
    const halfBytes = 256 * 1024 * 2;
    const half = { shape: [256, 1024], dtype: 'bfloat16', file: source.origin } as const;
    const first = await engine.openWeight(plainSource({ ...half, name: 'first', byteOffset: 24 }));
    const second = await engine.openWeight(plainSource({ ...half, name: 'second', byteOffset: 24 + halfBytes }));
    const sound = await beside.openWeight(other);
    const product = (on: typeof engine, weight: typeof first) =>
      createOperations(on).frozenLinear(on.full([64, 1024], 1), weight, {}, 'float32');
    await engine.read(product(engine, second));
    truncateSync(source.origin, 24 + halfBytes + 40_000);
    // What is left gives what it gave.
    expect((await engine.read(product(engine, first)))[3]).toBe((3 / 8) * 1024);
    const lost = engine.read(product(engine, second));
    await expect(lost).rejects.toBeInstanceOf(FilesError);
    await expect(lost).rejects.toMatchObject({
      code: 'FILE_CHANGED',
      message: expect.stringMatching(
        /^engine-native failed in \w+: .*\/cut became shorter .* 564312 bytes, expected the 1048600 .* the tensor second\. .*Restore/s,
      ) as string,
    });
    await expect(engine.drain()).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    await expect(engine.read(product(engine, first))).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    expect((await beside.read(product(beside, sound)))[3]).toBe((3 / 8) * 1024);
    await engine.close();
    await beside.close();
  });

  it('in all ways of reading them, and where nobody asked for the result', async () => {
    for (const [name, read] of [
      ['readWeight', (engine, weight) => engine.readWeight(weight, 250, 256)],
      ['embedding', (engine, weight) => engine.fused.embedding!(weight, Int32Array.of(255, 0))],
      [
        'adaptedLinear',
        (engine, weight) => createOperations(engine).frozenLinear(engine.full([1, 1024], 1), weight, {}, 'float32'),
      ],
      [
        'tokenLosses',
        (engine, weight) =>
          createOperations(engine).tokenLosses(engine.full([2, 1024], 1), { weight, labels: Int32Array.of(1, 2) }),
      ],
    ] as readonly [string, (engine: NativeEngine, weight: FrozenWeight) => Tensor][]) {
      for (const precision of ['float32', 'bfloat16'] as const) {
        const source = writeWeight('ways', 256, 1024, 0);
        const engine = createNativeEngine({ threads: 2, precision });
        const weight = await engine.openWeight(source);
        truncateSync(source.origin, 100_000);
        read(engine, weight).release();
        const failed = expect.stringMatching(
          new RegExp(`^engine-native failed in ${name}: .*/ways became shorter`, 's'),
        );
        await expect(engine.drain()).rejects.toMatchObject({ code: 'FILE_CHANGED', message: failed });
        await engine.close();
      }
    }
  });

  it('do so in every thread of JavaScript, also after one that loaded the engine first has ended', async () => {
    const { name, shape, origin } = writeWeight('threads', 1024, 1024, 0);
    const file = JSON.stringify(origin);
    const described = JSON.stringify({ name, shape, dtype: 'bfloat16', file: origin, byteOffset: 0 });
    const worker = `
      const { createNativeEngine } = await import(${built});
      const { parentPort } = await import('node:worker_threads');
      const { plainSource } = await import(${filesBuilt});
      const source = plainSource(${described});
      const engine = createNativeEngine({ threads: 3 });
      const weight = await engine.openWeight(source);
      await engine.drain();
      parentPort.postMessage('open');
      await new Promise((resolve) => parentPort.once('message', resolve));
      const failure = await engine.read(engine.readWeight(weight, 0, 1024)).then(() => undefined, (error) => error);
      await engine.close();
      parentPort.postMessage(failure?.code ?? 'none');
      parentPort.unref();`;
    const { stdout, stderr } = await runChild(`
      import { once } from 'node:events';
      import { truncateSync } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      const body = ${JSON.stringify(worker)};
      const start = async () => {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(body)));
        await once(worker, 'message');
        return worker;
      };
      const first = await start();
      await first.terminate();
      const workers = [await start(), await start()];
      truncateSync(${file}, 4096 * 3);
      for (const worker of workers) worker.postMessage('go');
      console.log(...(await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]))));
    `);
    expect([stdout, stderr]).toEqual(['FILE_CHANGED FILE_CHANGED\n', '']);
  });
});
