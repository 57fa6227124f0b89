import { TensorsError } from '@glulam/tensors';
import { describe, expect, it } from 'vitest';
import { isaNames, loadAddon, type Isa } from './addon.js';
import {
  candidatesOf,
  checkIsa,
  chooseByRates,
  choiceText,
  describeChoice,
  measureChoice,
  onlyOn,
  productClasses,
  readChoice,
} from './kernel-choice.js';

const server: readonly Isa[] = ['avx512', 'avx512-bf16', 'avx2', 'plain'];
const arm: readonly Isa[] = ['neon', 'neon-bfmmla', 'neon-bfdot', 'plain'];

describe('candidates', () => {
  it('are all vector instruction sets for bfloat16 operands', () => {
    expect(candidatesOf(server, 'bfloat16')).toEqual(['avx512', 'avx512-bf16', 'avx2']);
  });

  it('leave out units for bfloat16 where operands are float32', () => {
    expect(candidatesOf(server, 'float32')).toEqual(['avx512', 'avx2']);
    expect(candidatesOf(arm, 'float32')).toEqual(['neon']);
  });

  it('are the plain kernels where there is nothing else', () => {
    expect(candidatesOf(['plain'], 'bfloat16')).toEqual(['plain']);
  });
});

describe('chooseByRates', () => {
  it('keeps the order of preference where rates differ by less than a tenth', () => {
    const rates: Partial<Record<Isa, number>> = { avx512: 100, 'avx512-bf16': 109, avx2: 105 };
    expect(chooseByRates(server, (isa) => rates[isa]!)).toEqual(onlyOn('avx512'));
  });

  it('takes a candidate that is faster by more', () => {
    const rates: Partial<Record<Isa, number>> = { avx512: 100, 'avx512-bf16': 190, avx2: 50 };
    const { others, products } = chooseByRates(server, (isa) => rates[isa]!);
    expect(others).toBe('avx512-bf16');
    expect(new Set(products.slice(0, 6))).toEqual(new Set(['avx512']));
    expect(new Set(products.slice(6))).toEqual(new Set(['avx512-bf16']));
  });

  it('takes widened products where the bfloat16 unit is the slower one', () => {
    // GFLOP/s of two cores that have the unit at half the speed of plain AVX-512.
    const rates: Partial<Record<Isa, number>> = { avx512: 367, 'avx512-bf16': 177, avx2: 184 };
    expect(chooseByRates(server, (isa) => rates[isa]!)).toEqual(onlyOn('avx512'));
  });

  it('chooses for each class by itself', () => {
    const choice = chooseByRates(server, (isa, { rows }) => (isa === 'avx2' && rows === 'one row' ? 20 : 10));
    expect(choice.products.filter((_, i) => productClasses[i]!.rows === 'one row')).toEqual(Array(4).fill('avx2'));
    expect(choice.products.filter((isa) => isa === 'avx2')).toHaveLength(4);
    expect(choice.others).toBe('avx512');
  });
});

describe('the text of a choice', () => {
  const mixed = chooseByRates(server, (isa, { rows }) => (isa === 'avx512-bf16' && rows !== 'one row' ? 20 : 10));

  it('can be read again', () => {
    expect(readChoice(choiceText(mixed), server)).toEqual(mixed);
  });

  it.each([
    ['an instruction set that the machine lacks', choiceText(mixed), ['avx2', 'plain'] as const],
    ['too few names', 'avx2 avx2', isaNames],
    ['too many names', `${choiceText(mixed)} avx2`, isaNames],
    ['nothing', '', isaNames],
  ])('is none with %s', (_what, text, isas) => {
    expect(readChoice(text, isas)).toBeUndefined();
  });

  it.each([
    [onlyOn('avx2'), 'avx2'],
    [chooseByRates(server, (isa) => (isa === 'avx512-bf16' ? 20 : 10)), 'avx512-bf16'],
    [mixed, 'avx512-bf16 (avx512 for bfloat16 forward of one row, bfloat16 input gradient of one row)'],
  ])('is %# in words', (choice, words) => {
    expect(describeChoice(choice)).toBe(words);
  });
});

describe('on this machine', () => {
  const addon = loadAddon();

  it('a measurement chooses among its instruction sets', () => {
    expect(readChoice(choiceText(measureChoice(addon)), addon.isas)).toBeDefined();
  });

  it.each(productClasses.map((kind, i) => [`${kind.precision} ${kind.pass} of ${kind.rows}`, i] as const))(
    'every instruction set has a rate for %s',
    (_name, i) => {
      for (const isa of addon.isas) {
        const rate = addon.productRate(isa, Math.floor(i / 3) % 2, i % 3, Math.floor(i / 6));
        expect(rate, isa).toBeGreaterThan(0.01);
      }
    },
  );

  it('refuses a class that there is not', () => {
    expect(() => addon.productRate('plain', 2, 0, 0)).toThrow('no such class');
    expect(() => addon.productRate('plain', 0, 3, 0)).toThrow('no such class');
  });

  it.each(['', 'plain', Array(13).fill('sse9').join(' ')])('the addon refuses the choice "%s"', (text) => {
    expect(() => addon.create(1, text)).toThrow(/too few|not supported/);
  });
});

describe('checkIsa', () => {
  it('lists what a machine has when asked for another', () => {
    expect(() => checkIsa('avx512', ['plain'])).toThrow(TensorsError);
    expect(() => checkIsa('avx512', ['plain'])).toThrow(/avx512; this machine has plain/);
    expect(checkIsa('plain', ['plain'])).toBe('plain');
  });
});
