import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadAddon, type Addon, type Isa } from './addon.js';
import { choiceText, onlyOn } from './kernel-choice.js';
import { machineChoice } from './machine-choice.js';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(path.join(tmpdir(), 'glulam-cache-'));
  vi.stubEnv('GLULAM_CACHE', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

/** A machine with two candidates, of which `fast` is the faster one; `asked` counts measurements. */
function machine(fast: Isa): Addon & { asked: number } {
  const addon = {
    ...loadAddon(),
    isas: ['avx512', 'avx2', 'plain'] as const,
    asked: 0,
    productRate(isa: Isa) {
      addon.asked += 1;
      return isa === fast ? 2 : 1;
    },
  };
  return addon;
}

const files = (): string[] => readdirSync(path.join(cache, 'native-kernels'));
const file = (): string => path.join(cache, 'native-kernels', files()[0]!);

describe('the choice of a machine', () => {
  it('is measured once, then read', () => {
    const first = machine('avx2');
    expect(machineChoice(first, '1.0.0')).toEqual({ choice: onlyOn('avx2'), origin: file() });
    expect(first.asked).toBeGreaterThan(0);
    const second = machine('avx512');
    expect(machineChoice(second, '1.0.0').choice).toEqual(onlyOn('avx2'));
    expect(second.asked).toBe(0);
    expect(files()).toHaveLength(1);
  });

  it('is measured again for another version, whose kernels may be others', () => {
    machineChoice(machine('avx2'), '1.0.0');
    expect(machineChoice(machine('avx512'), '1.1.0').choice).toEqual(onlyOn('avx512'));
    expect(files()).toHaveLength(2);
  });

  it('is that of the process which kept it first, where two measure at once', () => {
    const late = machine('avx512');
    const { productRate } = late;
    let others: unknown;
    late.productRate = (...args) => {
      others ??= machineChoice(machine('avx2'), '1.0.0').choice;
      return productRate(...args);
    };
    expect(machineChoice(late, '1.0.0').choice).toEqual(onlyOn('avx2'));
    expect(others).toEqual(onlyOn('avx2'));
    expect(files()).toHaveLength(1);
  });

  it.each(['', '{', '{"version":2}', '{"version":1,"processor":"x","choice":"avx2"}'])(
    'replaces the damaged file %j',
    (damaged) => {
      machineChoice(machine('avx2'), '1.0.0');
      writeFileSync(file(), damaged);
      expect(machineChoice(machine('avx512'), '1.0.0').choice).toEqual(onlyOn('avx512'));
      expect(readFileSync(file(), 'utf8')).toContain(choiceText(onlyOn('avx512')));
      expect(files()).toHaveLength(1);
    },
  );

  it('is measured each time where it cannot be kept, and says why', () => {
    writeFileSync(path.join(cache, 'file'), '');
    vi.stubEnv('GLULAM_CACHE', path.join(cache, 'file'));
    const { choice, origin } = machineChoice(machine('avx2'), '1.0.0');
    expect(choice).toEqual(onlyOn('avx2'));
    expect(origin).toMatch(/^measured, not kept: .*ENOTDIR/);
  });

  it('needs no measurement where there is one candidate', () => {
    const addon = { ...machine('avx2'), isas: ['avx2', 'plain'] as const };
    expect(machineChoice(addon, '1.0.0')).toEqual({ choice: onlyOn('avx2'), origin: 'the only candidate' });
    expect(readdirSync(cache)).toEqual([]);
  });
});
