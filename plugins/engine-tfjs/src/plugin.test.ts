import { compose } from '@glulam/plugin';
import { engines } from '@glulam/tensors';
import { describe, expect, it } from 'vitest';
import { guardMemory } from './backends/wasm.js';
import { openTfjsEngine, probeBackends } from './open-engine.js';
import { engineTfjs } from './plugin.js';

const contribution = () => compose([engineTfjs()]).all(engines)[0]!;

describe('engineTfjs', () => {
  it('contributes the engine of kind tfjs', async () => {
    const tfjs = contribution();
    expect(tfjs.kind).toBe('tfjs');
    expect(tfjs.schema.parse({})).toEqual({ backend: 'auto' });
    const engine = await tfjs.open(tfjs.schema.parse({ backend: 'cpu' }), { precision: 'bfloat16' });
    expect(engine.description).toMatch(
      /^tfjs 4\.\d+\.\d+, cpu: plain JavaScript, one thread, computes in float32 only$/,
    );
    // Plain JavaScript has no bfloat16.
    expect(engine.precision).toBe('float32');
    await engine.close();
  });

  it.each([{ backend: 'webgl' }, { backends: 'cpu' }])('refuses the options %j', (options) => {
    expect(contribution().schema.safeParse(options).success).toBe(false);
  });

  it('takes by auto what a probe finds first, and says why not those before it', async () => {
    const probes = await probeBackends();
    expect(probes.map(({ name }) => name)).toEqual(
      ['node-gpu', 'node', 'webgpu', 'wasm', 'cpu'].map((b) => `tfjs ${b}`),
    );
    const first = probes.findIndex(({ loads }) => loads);
    const engine = await openTfjsEngine();
    expect(engine.description.startsWith(probes[first]!.details)).toBe(true);
    for (const { name } of probes.slice(0, first)) expect(engine.description).toContain(`${name.slice(5)}: `);
    await engine.close();
  });

  it('names the command that brings a missing package', async () => {
    const missing = (await probeBackends()).filter(({ loads, details }) => !loads && details.includes('not installed'));
    expect(missing.length).toBeGreaterThan(0);
    for (const { name, details } of missing) expect(details, name).toMatch(/npm install .*tfjs-/);
  });

  it('refuses work after close, and lets tensors be released', async () => {
    const engine = await openTfjsEngine({ backend: 'cpu' });
    const x = engine.full([2], 1);
    await engine.close();
    expect(() => engine.affine(x, 2, 0)).toThrow(/closed/);
    await expect(engine.read(x)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    x.release();
    await engine.close();
  });
});

describe('the memory of WebAssembly', () => {
  it('ends with an error, not with the address 0', () => {
    const wasm = { _malloc: (bytes: number) => (bytes > 100 ? 0 : 8), _free: () => undefined };
    guardMemory(wasm);
    guardMemory(wasm);
    expect(wasm._malloc(100)).toBe(8);
    expect(() => wasm._malloc(101)).toThrow('out of memory: 101 bytes more do not fit into the 4 GiB of WebAssembly');
  });
});
