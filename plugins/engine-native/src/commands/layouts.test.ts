import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../addon.js';
import { createEncoders, operandsOf, Words } from './encode.js';
import { enumerations, layoutOf, layouts, layoutsHash, type CommandArguments, type CommandName } from './layouts.js';

const header = path.resolve(import.meta.dirname, '../../native/commands/arguments.h');
const cppMembers: Readonly<Record<keyof typeof enumerations, (member: string) => string>> = {
  dtype: (member) => `DType::${{ float32: 'f32', bfloat16: 'bf16', float16: 'f16', int32: 'i32' }[member]!}`,
  Unary: (member) => `Unary::${member}`,
  Binary: (member) => `Binary::${member}`,
  Reduction: (member) => `Reduction::${member}`,
};
const cppTypes: Readonly<Record<string, readonly [type: string, reader: string]>> = {
  size: ['size_t', 'size()'],
  number: ['double', 'number()'],
  flag: ['bool', 'flag()'],
  key: ['RandomKey', 'key()'],
  sizes: ['std::vector<size_t>', 'sizes()'],
  numbers: ['std::vector<double>', 'numbers()'],
  ...Object.fromEntries(
    Object.entries(enumerations).map(([kind, { length }]) => {
      const type = kind === 'dtype' ? 'DType' : kind;
      return [kind, [type, `oneOf<${type}>(${length})`] as const];
    }),
  ),
};

/** native/commands/arguments.h: a struct for each layout, which reads the command's parameters by their names. */
function headerOf(): string {
  const lines = [
    '// The arguments of every command by name. Made from src/commands/layouts.ts: npx vitest run commands/layouts -u',
    '#pragma once',
    '#include <vector>',
    '',
    '#include "commands/commands.h"',
    '',
    'namespace glulam {',
    '',
    '// What JavaScript compares with its own layouts.',
    `constexpr const char* layoutsHash = "${layoutsHash}";`,
    '',
    ...Object.entries(enumerations).flatMap(([kind, members]) =>
      members.map(
        (member, number) =>
          `static_assert(int(${cppMembers[kind as keyof typeof enumerations](member)}) == ${number}, "${kind}");`,
      ),
    ),
  ];
  for (const [name, { commands, operands, params }] of Object.entries(layouts)) {
    const struct = `${name[0]!.toUpperCase()}${name.slice(1)}Arguments`;
    const kinds: readonly string[] = Object.values(operands);
    const andMore = kinds.includes('list');
    lines.push(
      '',
      ...(commands.length === 1 ? [] : [`// ${commands.join(', ')}`]),
      `struct ${struct} {`,
      ...(kinds.length === 0 ? [] : [`  enum : size_t { ${Object.keys(operands).join(', ')} };  // operands`]),
      ...Object.entries(params).map(([key, kind]) => `  ${cppTypes[kind]![0]} ${key};`),
      ...(kinds.length === 0 ? [] : ['']),
      `  explicit ${struct}(const Call& call) {`,
      `    ArgumentReader read(call, ${kinds.length - Number(andMore)}, ${andMore});`,
      ...Object.entries(params).map(([key, kind]) => `    ${key} = read.${cppTypes[kind]![1]};`),
      '    read.end();',
      '  }',
      '};',
    );
  }
  return [...lines, '', '}  // namespace glulam', ''].join('\n');
}

describe('the layouts of commands', () => {
  test('the native side has the same: native/commands/arguments.h', async () => {
    await expect(headerOf()).toMatchFileSnapshot(header);
  });

  test('the addon was made from them and has every command', () => {
    const { operations, layoutsHash: built } = loadAddon();
    expect(built).toBe(layoutsHash);
    expect([...operations].sort()).toEqual([...layoutOf.keys()].sort());
  });

  /** The words of one command, with its operands' numbers. */
  function wordsOf<Name extends CommandName>(name: Name, given: CommandArguments<Name, number>, freed: number[] = []) {
    const words = new Words();
    createEncoders([...layoutOf.keys()]).get(name)!(words, freed, given, (operand) => operand as number);
    const [operation, ...rest] = words.values.subarray(0, words.used);
    expect([...layoutOf.keys()][operation!]).toBe(name);
    return rest;
  }

  test('a command is encoded by names, in whatever order they are given', () => {
    const given = { type: 'bfloat16', rows: 3, columns: 2, bias: 8, y: 6, x: 7 } as const;
    expect(wordsOf('scaleColumns', given)).toEqual([0, 4, 3, 6, 7, 0xffffffff, 8, 3, 2, 1]);
    expect(operandsOf<'scaleColumns', number>('scaleColumns', given)).toEqual([6, 7, undefined, 8]);
  });

  test('lists come after their length, keys as four words, flags as 0 or 1', () => {
    const slice = { y: 6, x: 7, shape: [2, 3], strides: [6, 1], offset: 4, available: 12 };
    expect(wordsOf('slice', slice)).toEqual([0, 2, 8, 6, 7, 2, 2, 3, 2, 6, 1, 4, 12]);
    expect(wordsOf('random', { y: 6, elements: 5, key: [1, 2, 3, 4] })).toEqual([0, 1, 5, 6, 5, 1, 2, 3, 4]);
    const losses = { losses: 6, logits: 7, targets: 8, rows: 1, vocabulary: 2, first: 3, available: 4, softCap: 5 };
    expect(wordsOf('crossEntropy', { ...losses, gradient: true })).toEqual([0, 3, 6, 6, 7, 8, 1, 2, 3, 4, 5, 1]);
    const sum = { sum: 6, tensors: [7, 8], elements: [9, 10] };
    expect(wordsOf('sumOfSquares', sum)).toEqual([0, 3, 3, 6, 7, 8, 2, 9, 10]);
    expect(operandsOf<'sumOfSquares', number>('sumOfSquares', sum)).toEqual([6, 7, 8]);
  });

  test('commands follow one another, what was freed before each of them, however many words that takes', () => {
    const freed = [3, 4];
    const words = new Words();
    const free = createEncoders(['free']).get('free')!;
    free(words, freed, {}, Number);
    expect(freed).toEqual([]);
    freed.push(...Array.from({ length: 3000 }, (_, i) => i));
    free(words, freed, {}, Number);
    free(words, freed, {}, Number);
    const written = [...words.values.subarray(0, words.used)];
    expect(written.slice(0, 10)).toEqual([0, 2, 0, 0, 3, 4, 0, 3000, 0, 0]);
    expect(written.slice(-5)).toEqual([2999, 0, 0, 0, 0]);
  });
});
