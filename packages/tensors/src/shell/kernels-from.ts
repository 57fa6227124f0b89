import type { KernelArguments, Kernels, Result } from '../contract/device.js';

type Name = keyof KernelArguments<unknown>;

const names: Readonly<Record<Name, true>> = {
  full: true,
  cast: true,
  matmul: true,
  unary: true,
  binary: true,
  affine: true,
  select: true,
  reduce: true,
  gather: true,
  scatterAdd: true,
  slice: true,
  transpose: true,
  concatenate: true,
  argmax: true,
  random: true,
  readWeight: true,
};

/** Kernels that are all one function: for devices that only count, or that wrap another's. */
export function kernelsFrom<Data>(
  kernel: (name: Name, given: KernelArguments<Data>[Name], result: Result) => Data,
): Kernels<Data> {
  const all = Object.keys(names).map((name) => [
    name,
    (given: KernelArguments<Data>[Name], result: Result) => kernel(name as Name, given, result),
  ]);
  return Object.fromEntries(all) as Kernels<Data>;
}
