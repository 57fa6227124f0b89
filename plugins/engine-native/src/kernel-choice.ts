import { TensorsError } from '@glulam/tensors';
import type { Addon, Isa } from './addon.js';

// The classes of products, in the order of native/gemm.h.
const precisions = ['float32', 'bfloat16'] as const;
const passes = ['forward', 'input gradient'] as const;
const rowCounts = ['one row', 'few rows', 'many rows'] as const;

/** A class of products for which one instruction set may be faster than another. */
interface ProductClass {
  /** Of the operands. */
  readonly precision: (typeof precisions)[number];
  readonly pass: (typeof passes)[number];
  readonly rows: (typeof rowCounts)[number];
}

/** The instruction sets of an engine's kernels. */
export interface KernelChoice {
  /** Of all that is no product with a weight: norms, activations, attention. */
  readonly others: Isa;
  /** Of each class of products, in the order of `productClasses`. */
  readonly products: readonly Isa[];
}

export const productClasses: readonly ProductClass[] = precisions.flatMap((precision) =>
  passes.flatMap((pass) => rowCounts.map((rows) => ({ precision, pass, rows }))),
);

/** A candidate this much faster than those before it is taken instead: less may be noise, or another day's. */
const gain = 1.1;

/** One instruction set for everything. */
export const onlyOn = (isa: Isa): KernelChoice => ({ others: isa, products: productClasses.map(() => isa) });

/** Those worth measuring for a class, in the order of preference. */
export function candidatesOf(isas: readonly Isa[], precision: ProductClass['precision']): readonly Isa[] {
  const vector = isas.filter((isa) => isa !== 'plain');
  const useful = precision === 'bfloat16' ? vector : vector.filter((isa) => withoutUnit(isa) === isa);
  return useful.length === 0 ? ['plain'] : useful;
}

/**
 * Choose for each class of products the first candidate that no other one beats by a tenth.
 *
 * @param rateOf GFLOP/s of a candidate
 */
export function chooseByRates(isas: readonly Isa[], rateOf: (isa: Isa, kind: ProductClass) => number): KernelChoice {
  const products = productClasses.map((kind) => {
    const rates = candidatesOf(isas, kind.precision).map((isa) => ({ isa, rate: rateOf(isa, kind) }));
    const best = Math.max(...rates.map(({ rate }) => rate));
    return rates.find(({ rate }) => rate * gain > best)!.isa;
  });
  // Attention multiplies blocks of many rows, and the rest does not differ.
  const busiest = productClasses.findIndex(
    ({ precision, pass, rows }) => precision === 'bfloat16' && pass === 'forward' && rows === 'many rows',
  );
  return { others: products[busiest]!, products };
}

/** The choice that this machine's rates make; each is the best of a few, taken in turn. */
export function measureChoice({ isas, productRate }: Pick<Addon, 'isas' | 'productRate'>): KernelChoice {
  const rounds = 4;
  const rates = new Map<string, number>();
  for (const { precision, pass, rows } of productClasses) {
    for (let round = 0; round < rounds; round++) {
      for (const isa of candidatesOf(isas, precision)) {
        const name = `${isa} ${precision} ${pass} ${rows}`;
        const rate = productRate(isa, passes.indexOf(pass), rowCounts.indexOf(rows), precisions.indexOf(precision));
        rates.set(name, Math.max(rates.get(name) ?? 0, rate));
      }
    }
  }
  return chooseByRates(isas, (isa, { precision, pass, rows }) => rates.get(`${isa} ${precision} ${pass} ${rows}`)!);
}

/** As the addon takes it, and as runs record it: names between spaces. */
export const choiceText = ({ others, products }: KernelChoice): string => [others, ...products].join(' ');

/** @returns undefined where the text is no choice, or names an instruction set that the machine lacks */
export function readChoice(text: string, isas: readonly Isa[]): KernelChoice | undefined {
  const [others, ...products] = text.split(' ') as Isa[];
  const isWhole =
    products.length === productClasses.length && [others!, ...products].every((isa) => isas.includes(isa));
  return isWhole ? { others: others!, products } : undefined;
}

/** For people: the instruction set of most, and what differs. */
export function describeChoice({ others, products }: KernelChoice): string {
  const exceptions = new Map<Isa, string[]>();
  for (const [i, { precision, pass, rows }] of productClasses.entries()) {
    const isFloat32 = precision === 'float32';
    const [isa, usual] = [products[i]!, others].map((each) => (isFloat32 ? withoutUnit(each) : each)) as [Isa, Isa];
    if (isa === usual) continue;
    exceptions.set(isa, [...(exceptions.get(isa) ?? []), `${precision} ${pass} of ${rows}`]);
  }
  const listed = [...exceptions].map(([isa, kinds]) => `${isa} for ${kinds.join(', ')}`);
  return listed.length === 0 ? others : `${others} (${listed.join('; ')})`;
}

/** The one asked for, if the machine has it. */
export function checkIsa(isa: Isa, isas: readonly Isa[]): Isa {
  if (isas.includes(isa)) return isa;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `engine-native was asked for the instruction set ${isa}; this machine has ${isas.join(', ')}: choose one of these, or auto`,
  );
}

/** What float32 operands are multiplied with where `isa` is chosen: its unit for bfloat16 takes no others. */
function withoutUnit(isa: Isa): Isa {
  if (isa === 'avx512-bf16') return 'avx512';
  return isa === 'neon-bfdot' || isa === 'neon-bfmmla' ? 'neon' : isa;
}
