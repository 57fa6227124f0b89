import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { scope, TensorsError } from '@glulam/tensors';
import { describe, expect, it } from 'vitest';
import { createNativeEngine } from './native-engine.js';

const addonFile = fileURLToPath(new URL('../build/glulam.node', import.meta.url));

/** Plain JavaScript on the bare addon: `busy(count)` queues products of about 20 ms each. */
const prelude = `
const addon = require(${JSON.stringify(addonFile)});
const handle = addon.create(2, Array(13).fill(addon.isas[0]).join(' '));
const send = (name, frees, ids, params) =>
  addon.submit(
    handle,
    Float64Array.of(addon.operations.indexOf(name), frees.length, ids.length, params.length, ...frees, ...ids, ...params),
    4 + frees.length + ids.length + params.length,
  );
const submit = (name, ids, params) => send(name, [], ids, params);
const free = (id) => send('free', [id], [], []);
const size = 1024;
submit('full', [0], [size * size, 1]);
submit('full', [1], [size * size, 1 / size]);
const busy = (count) => {
  for (let i = 0; i < count; i++) {
    submit('matmul', [2, 0, 1], [1, size, size, size, 0, 0, 1, 0, 0, 0, 0, 0, size * size]);
    free(2);
  }
};
`;
const runChild = (body: string) => promisify(execFile)(process.execPath, ['-e', prelude + body], { timeout: 180_000 });

describe('the queue', () => {
  it('runs commands in order behind calls that return at once', async () => {
    const engine = createNativeEngine({ threads: 2 });
    const a = engine.upload(Float32Array.of(1, 2, 3, 4), [2, 2]);
    let x = a.retain();
    for (let i = 0; i < 50; i++) {
      const y = engine.matmul(x, a);
      const z = engine.affine(y, 0.25, 0);
      x.release();
      y.release();
      x = z;
    }
    let expected = [1, 2, 3, 4];
    for (let i = 0; i < 50; i++) {
      const [p, q, r, s] = expected as [number, number, number, number];
      expected = [p + 3 * q, 2 * p + 4 * q, r + 3 * s, 2 * r + 4 * s].map((value) => Math.fround(value * 0.25));
    }
    const values = await engine.read(x);
    values.forEach((value, i) => expect(value / expected[i]!).toBeCloseTo(1, 4));
    a.release();
    x.release();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    await engine.drain();
    expect(engine.stats().liveBytes).toBe(0);
    await engine.close();
  });

  it('takes a copy of what is uploaded', async () => {
    const engine = createNativeEngine({ threads: 1 });
    const data = Int32Array.of(1, 2, 3);
    const x = engine.upload(data, [3]);
    data.fill(9);
    expect([...(await engine.read(x))]).toEqual([1, 2, 3]);
    await engine.close();
  });

  it('uses freed memory again, up to a bound', async () => {
    const engine = createNativeEngine({ threads: 1 });
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 10; i++) scope(() => void engine.full([1 << 20, 10], i));
    }
    await engine.drain();
    const { liveBytes, peakBytes, heldBytes } = engine.stats();
    expect(liveBytes).toBe(0);
    expect(peakBytes).toBeGreaterThanOrEqual(40 << 20);
    expect(peakBytes).toBeLessThan(48 << 20);
    expect(heldBytes).toBeLessThanOrEqual(peakBytes);
    await engine.close();
  });

  it('names a failed operation, and is poisoned from then on', async () => {
    const engine = createNativeEngine({ threads: 1 });
    const table = engine.upload(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const before = await engine.read(table);
    const rows = engine.gather(table, engine.upload(Int32Array.of(0, 2), [2]));
    const failure = engine.read(rows);
    await expect(failure).rejects.toBeInstanceOf(TensorsError);
    await expect(failure).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/gather.*open a new engine/s) as string,
    });
    await expect(engine.drain()).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    await expect(engine.read(table)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect([...before]).toEqual([1, 2, 3, 4]);
    await engine.close();
  });

  it('says which operation ran out of memory', async () => {
    const engine = createNativeEngine({ threads: 1 });
    const huge = engine.full([2 ** 26, 2 ** 20], 0);
    await expect(engine.drain()).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/full: out of memory: 281474976710656 bytes/) as string,
    });
    huge.release();
    await engine.close();
  });

  it('refuses work after close, and lets tensors be released', async () => {
    const engine = createNativeEngine({ threads: 1 });
    const x = engine.full([2], 1);
    await engine.close();
    expect(() => engine.affine(x, 2, 0)).toThrow(/closed/);
    await expect(engine.read(x)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    x.release();
    await engine.close();
  });

  it('repeats itself bit for bit, whatever the number of threads', async () => {
    const runs = [1, 2, 2].map(async (threads) => {
      const engine = createNativeEngine({ threads });
      const result = scope(() => {
        const a = engine.random([150, 700], [1, 2, 3, 4]);
        const b = engine.random([700, 90], [1, 2, 3, 5]);
        return engine.reduce('sum', engine.unary('sigmoid', engine.affine(engine.matmul(a, b), 0.01, -1)), 0);
      });
      const bits = [...new Uint32Array((await engine.read(result)).buffer)];
      await engine.close();
      return bits;
    });
    const [first, ...others] = await Promise.all(runs);
    expect(new Set(first).size).toBeGreaterThan(1);
    for (const other of others) expect(other).toEqual(first);
  });
});

describe('the end of a process', () => {
  it('comes at once with work queued, and cleanly', async () => {
    const begin = Date.now();
    const { stdout, stderr } = await runChild(`busy(2000); console.log('queued');`);
    expect([stdout, stderr]).toEqual(['queued\n', '']);
    expect(Date.now() - begin).toBeLessThan(10_000);
  });

  it('comes cleanly by process.exit with work queued and a read waiting', async () => {
    const { stdout, stderr } = await runChild(
      `busy(500); addon.read(handle, 0, new Float32Array(size * size)); setTimeout(() => { console.log('leaving'); process.exit(0); }, 30);`,
    );
    expect([stdout, stderr]).toEqual(['leaving\n', '']);
  });

  it('waits for a read, and not for an engine that has nothing to do', async () => {
    const { stdout } = await runChild(
      `busy(3); const into = new Float32Array(size * size); addon.read(handle, 0, into).then((failure) => console.log(failure, into[5]));`,
    );
    expect(stdout).toBe('undefined 1\n');
  });

  it('is clean when a worker thread is stopped in the middle of its queue', async () => {
    const { stdout, stderr } = await runChild(`
      const { Worker } = require('node:worker_threads');
      const body = ${JSON.stringify(prelude)} + 'busy(500); require("node:worker_threads").parentPort.postMessage(0);';
      const worker = new Worker(body, { eval: true });
      worker.once('message', async () => {
        await worker.terminate();
        busy(1);
        console.log('after', await addon.drain(handle));
      });
    `);
    expect([stdout, stderr]).toEqual(['after undefined\n', '']);
  });

  it('keeps engines of two threads of JavaScript apart', async () => {
    const body = `${prelude}
      busy(1);
      const into = new Float32Array(1);
      submit('full', [7], [1, require('node:worker_threads').workerData]);
      addon.read(handle, 7, into).then(() => require('node:worker_threads').parentPort.postMessage(into[0]));`;
    const results = await Promise.all(
      [3, 4].map(
        (workerData) =>
          new Promise((resolve, reject) => {
            const worker = new Worker(body, { eval: true, workerData });
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    expect(results).toEqual([3, 4]);
  });
});
