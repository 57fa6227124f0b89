import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../addon.js';
import { operandsOf, paramsOf } from './encode.js';
import { enumerations, layoutOf, layouts, layoutsHash } from './layouts.js';

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

  test('a command is encoded by names, in whatever order they are given', () => {
    const given = { type: 'bfloat16', rows: 3, columns: 2, bias: 'b', y: 'y', x: 'x' } as const;
    expect(operandsOf<'scaleColumns', string>('scaleColumns', given)).toEqual(['y', 'x', undefined, 'b']);
    expect(paramsOf('scaleColumns', given)).toEqual([3, 2, 1]);
  });

  test('lists come after their length, keys as four words, flags as 0 or 1', () => {
    const slice = { y: 'y', x: 'x', shape: [2, 3], strides: [6, 1], offset: 4, available: 12 };
    expect(paramsOf('slice', slice)).toEqual([2, 2, 3, 2, 6, 1, 4, 12]);
    expect(paramsOf('random', { y: 'y', elements: 5, key: [1, 2, 3, 4] })).toEqual([5, 1, 2, 3, 4]);
    const losses = { losses: 'l', logits: 'x', targets: 't', rows: 1, vocabulary: 2, first: 3, available: 4 };
    expect(paramsOf('crossEntropy', { ...losses, gradient: true })).toEqual([1, 2, 3, 4, 1]);
    const sum = { sum: 's', tensors: ['a', 'b'], elements: [7, 8] };
    expect(operandsOf<'sumOfSquares', string>('sumOfSquares', sum)).toEqual(['s', 'a', 'b']);
    expect(paramsOf('sumOfSquares', sum)).toEqual([2, 7, 8]);
  });
});
