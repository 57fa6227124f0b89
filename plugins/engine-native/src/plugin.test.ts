import { engines, TensorsError } from '@glulam/tensors';
import { compose } from '@glulam/plugin';
import { afterEach, describe, expect, it } from 'vitest';
import { chooseIsa, loadAddon } from './addon.js';
import { engineNative } from './plugin.js';

afterEach(() => void delete process.env['GLULAM_ISA']);

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

  it('lists the instruction sets that a machine has when asked for another', () => {
    const addon = { ...loadAddon(), isas: ['plain'] as const };
    expect(() => chooseIsa(addon, 'avx512')).toThrow(TensorsError);
    expect(() => chooseIsa(addon, 'avx512')).toThrow(/avx512; this machine has plain/);
    expect(chooseIsa(addon, 'auto')).toBe('plain');
  });
});
