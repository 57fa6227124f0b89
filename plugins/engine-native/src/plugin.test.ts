import { engines } from '@glulam/tensors';
import { compose } from '@glulam/plugin';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findAddon } from './addon.js';
import { engineNative } from './plugin.js';

beforeEach(() => void vi.stubEnv('GLULAM_ISA', ''));
afterEach(() => void vi.unstubAllEnvs());

const contribution = () => compose([engineNative()]).all(engines)[0]!;

describe('engineNative', () => {
  it('contributes the engine of kind native', async () => {
    const native = contribution();
    expect(native.kind).toBe('native');
    const engine = await native.open(native.schema.parse({ threads: 1, isa: 'plain' }), { precision: 'bfloat16' });
    expect(engine.description).toBe('native, plain, 1 thread');
    expect(engine.precision).toBe('bfloat16');
    await engine.close();
  });

  it.each([{ threads: 0 }, { threads: 1.5 }, { isa: 'sse' }, { thread: 2 }])('refuses the options %j', (options) => {
    expect(contribution().schema.safeParse(options).success).toBe(false);
  });

  it('lets GLULAM_ISA choose what auto leaves open', async () => {
    const native = contribution();
    process.env['GLULAM_ISA'] = 'plain';
    const engine = await native.open(native.schema.parse({ threads: 2 }), { precision: 'float32' });
    expect(engine.description).toBe('native, plain, 2 threads');
    await engine.close();
    process.env['GLULAM_ISA'] = 'sse';
    await expect(native.open(native.schema.parse({}), { precision: 'float32' })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('"sse"') as string,
    });
  });

  it('lets GLULAM_THREADS say how many threads there are, where the config does not', async () => {
    const native = contribution();
    vi.stubEnv('GLULAM_THREADS', '3');
    for (const [options, threads] of [
      [{}, '3 threads'],
      [{ threads: 1 }, '1 thread'],
    ] as const) {
      const engine = await native.open(native.schema.parse({ isa: 'plain', ...options }), { precision: 'float32' });
      expect(engine.description).toBe(`native, plain, ${threads}`);
      await engine.close();
    }
    for (const wrong of ['0', '1.5', 'all']) {
      vi.stubEnv('GLULAM_THREADS', wrong);
      await expect(native.open(native.schema.parse({}), { precision: 'float32' })).rejects.toMatchObject({
        code: 'ENGINE_UNAVAILABLE',
        message: `the variable GLULAM_THREADS is "${wrong}"; expected a whole number from 1`,
      });
      expect(await native.probe!()).toMatchObject([{ loads: false }]);
    }
  });

  it('forces one instruction set for everything', async () => {
    const native = contribution();
    const engine = await native.open(native.schema.parse({ isa: 'plain' }), { precision: 'float32' });
    expect(engine.choice).toBe(Array<string>(13).fill('plain').join(' '));
    await engine.close();
  });

  it('takes an earlier choice again', async () => {
    const native = contribution();
    const earlier = `plain ${Array<string>(12).fill(findAddon().addon.isas[0]!).join(' ')}`;
    const engine = await native.open(native.schema.parse({}), { precision: 'float32', choice: earlier });
    expect(engine.choice).toBe(earlier);
    await engine.close();
  });

  it('makes its own choice where the machine lacks the earlier one', async () => {
    const native = contribution();
    const open = (choice?: string) => native.open(native.schema.parse({}), { precision: 'float32', choice });
    const [own, other] = await Promise.all([open(), open(Array<string>(13).fill('sse9').join(' '))]);
    expect(other.choice).toBe(own.choice);
    await Promise.all([own.close(), other.close()]);
  });
});
