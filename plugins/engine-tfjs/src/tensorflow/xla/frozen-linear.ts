import { scope, type FusedOperations } from '@glulam/tensors';
import { tfTypeOf, type TfTensor } from '../binding.js';
import { dropoutMask } from '../dropout-mask.js';
import type { FusedContext } from '../fused-context.js';
import { elementOf, type Element, type ProgramBuilder, type Value } from './stablehlo.js';
import { perRow, whole, type Marked, type Xla } from './xla.js';

/**
 * y = outScale * (W (inScale * x) + scale * B A dropout(x)) + bias, forward and backward each as one program. A product of
 * bfloat16 values has a float32 result here, at the speed of one that is rounded, so that nothing is rounded before all
 * of it is summed.
 */
export function frozenLinearProgram(context: FusedContext, xla: Xla): FusedOperations['frozenLinear'] {
  const { of, makeMany } = context;
  const { precision, backend } = context.shell;
  const [compute, name] = [elementOf(tfTypeOf(precision)), 'frozenLinear'];

  return {
    forward({ x, inScale, outScale, A, B, bias }, { weight, scale, dropout, type }, keep) {
      const m = x.shape[0]!;
      const n = weight.shape[0]!;
      const adapted = A !== undefined && B !== undefined;
      const keepsProduct = keep && outScale !== undefined;
      return scope(() => {
        const results = [
          { shape: [m, n], dtype: type },
          ...(adapted ? [{ shape: [m, A.shape[0]!], dtype: 'float32' as const }] : []),
          // What outScale multiplies is kept for its gradient, like any activation.
          ...(keepsProduct ? [{ shape: [m, n], dtype: precision }] : []),
        ];
        const made = makeMany(name, results, () => {
          const mask = adapted ? dropoutMask(backend.host, x.shape, dropout) : undefined;
          const inputs = gather({
            x: perRow(of(x)),
            weight: whole(context.weight(weight)),
            A: adapted ? whole(of(A)) : undefined,
            B: adapted ? whole(of(B)) : undefined,
            mask: mask && perRow(context.ops.floats(mask, x.shape)),
            inScale: inScale && whole(of(inScale)),
            outScale: outScale && whole(of(outScale)),
            bias: bias && whole(of(bias)),
          });
          const key = [...inputs.names, scale, type, keepsProduct];
          return xla.run(`${name}_forward`, key, m, inputs.tensors, (p, values) => {
            const input = inputs.of(values);
            const x = input('x')!;
            const rows = x.shape[0]!;
            const wide = p.convert(x, 'f32');
            const scaled = inScale ? p.mul(wide, p.spread(input('inScale')!, [1], x.shape)) : x;
            let product = p.product(
              p.convert(scaled, compute),
              p.convert(input('weight')!, compute),
              'columns',
              'columns',
            );
            let u: Value | undefined;
            if (adapted) {
              const A = input('A')!;
              const inner = mask
                ? p.product(p.mul(wide, input('mask')!), A, 'columns', 'columns')
                : x.element === 'bf16'
                  ? sumOfHalves(p, p.product(x, inParts(p, A), 'columns', 'columns'), 1)
                  : p.product(x, A, 'columns', 'columns');
              u = p.mul(inner, scale);
              product = plusProduct(p, compute, product, u, turned(p, input('B')!));
            }
            let y = product;
            if (outScale) y = p.mul(y, p.spread(input('outScale')!, [1], [rows, n]));
            if (bias) y = p.add(y, p.spread(input('bias')!, [1], [rows, n]));
            return [
              perRow(p.convert(y, elementOf(tfTypeOf(type)))),
              ...(u ? [perRow(u)] : []),
              ...(keepsProduct ? [perRow(p.convert(product, compute))] : []),
            ];
          });
        });
        const output = made[0]!;
        const u = adapted ? made[1] : undefined;
        const z = keepsProduct ? made.at(-1) : undefined;
        return { output, saved: keep ? { x, inScale, outScale, A, B, u, z } : {} };
      });
    },

    backward({ x, inScale, outScale, A, B, u, z }, gradient, { weight, scale, dropout }, needs) {
      const [m, k] = x!.shape as [number, number];
      const n = weight.shape[0]!;
      const adapted = A !== undefined && B !== undefined && u !== undefined;
      const wanted = (['x', 'A', 'B', 'inScale', 'outScale', 'bias'] as const).filter((input) => {
        if (!needs.has(input)) return false;
        if (input === 'A' || input === 'B') return adapted;
        return input === 'inScale' ? inScale !== undefined : input !== 'outScale' || z !== undefined;
      });
      if (wanted.length === 0) return {};
      const shapes = { x: [m, k], A: A?.shape, B: B?.shape, inScale: [k], outScale: [n], bias: [n] };
      const results = wanted.map((input) => ({ shape: shapes[input]!, dtype: 'float32' as const }));
      const made = makeMany(name, results, () => {
        const mask = adapted ? dropoutMask(backend.host, x!.shape, dropout) : undefined;
        const inputs = gather({
          gradient: perRow(of(gradient)),
          x: perRow(of(x!)),
          weight: whole(context.weight(weight)),
          A: adapted ? whole(of(A)) : undefined,
          B: adapted ? whole(of(B)) : undefined,
          u: adapted ? perRow(of(u)) : undefined,
          mask: mask && perRow(context.ops.floats(mask, x!.shape)),
          inScale: inScale && whole(of(inScale)),
          outScale: outScale && whole(of(outScale)),
          z: z && perRow(of(z)),
        });
        return xla.run(`${name}_backward`, [...inputs.names, scale, ...wanted], m, inputs.tensors, (p, values) => {
          const input = inputs.of(values);
          const [dy, stored] = [input('gradient')!, input('x')!];
          const x = p.convert(stored, 'f32');
          const dz = outScale ? p.mul(dy, p.spread(input('outScale')!, [1], dy.shape)) : dy;
          const masked = (value: Value): Value => (mask ? p.mul(value, input('mask')!) : value);
          const rounded = p.asWritten(p.convert(dz, compute));
          const du = adapted ? p.mul(p.product(dz, turned(p, input('B')!), 'columns', 'columns'), scale) : undefined;
          const gradients: Partial<Record<(typeof wanted)[number], Marked<Value>>> = {};
          if (wanted.includes('bias')) gradients.bias = whole(p.reduce('add', dy, 0));
          if (wanted.includes('outScale')) {
            gradients.outScale = whole(p.reduce('add', p.mul(dy, p.convert(input('z')!, 'f32')), 0));
          }
          if (wanted.includes('B')) {
            // Of what the product below reads: a bfloat16 gradient is what the reference has here.
            const columns = p.asWritten(productOfFew(p, turned(p, input('u')!), rounded));
            gradients.B = whole(p.transpose(columns, [1, 0]));
          }
          if (wanted.includes('A')) {
            gradients.A = whole(productOfFew(p, turned(p, du!), mask ? masked(x) : stored));
          }
          if (wanted.includes('x') || wanted.includes('inScale')) {
            const through = p.product(rounded, p.convert(input('weight')!, compute), 'columns', 'rows');
            if (wanted.includes('inScale')) gradients.inScale = whole(p.reduce('add', p.mul(through, x), 0));
            const dx = inScale ? p.mul(through, p.spread(input('inScale')!, [1], x.shape)) : through;
            gradients.x = perRow(
              du === undefined
                ? dx
                : mask
                  ? p.add(dx, masked(p.product(du, input('A')!, 'columns', 'rows')))
                  : plusProduct(p, compute, dx, du, input('A')!),
            );
          }
          return wanted.map((name) => gradients[name]!);
        });
      });
      return Object.fromEntries(wanted.map((input, i) => [input, made[i]]));
    },
  };
}

/**
 * A few rows, [r, length], as twice as many of bfloat16: the first r and the others sum up to 16 of the 24 significant bits.
 * So they are multiplied with what is bfloat16 itself, of which a wide copy would take longer than the product.
 */
function inParts(p: ProgramBuilder, rows: Value): Value {
  const high = p.asWritten(p.convert(rows, 'bf16'));
  const low = p.convert(p.binary('subtract', rows, p.convert(high, 'f32')), 'bf16');
  return p.concatenate([high, low], 0);
}
/** The sum of both halves along an axis. */
function sumOfHalves(p: ProgramBuilder, x: Value, axis: number): Value {
  const length = x.shape[axis]!;
  return p.add(p.slice(x, axis, 0, length / 2), p.slice(x, axis, length / 2, length));
}
/** A few rows times what may be bfloat16. */
const productOfFew = (p: ProgramBuilder, rows: Value, x: Value): Value =>
  x.element === 'bf16'
    ? sumOfHalves(p, p.product(inParts(p, rows), x, 'columns', 'rows'), 0)
    : p.product(rows, x, 'columns', 'rows');
/**
 * sum + x y. Beside products of bfloat16, and where x has few columns, these are added one by one in the pass over `sum` that
 * there is anyway, instead of a product of its size that is written and read. It rounds every term, which a product does not.
 */
function plusProduct(p: ProgramBuilder, compute: Element, sum: Value, x: Value, y: Value): Value {
  const inner = y.shape[0]!;
  if (compute === 'f32' || inner > 16) return p.add(sum, p.product(x, y, 'columns', 'rows'));
  const terms = Array.from({ length: inner }, (_, i) => {
    const [column, row] = [p.slice(x, 1, i, i + 1), p.slice(y, 0, i, i + 1)];
    const along = (part: Value, axis: number): Value =>
      p.spread(p.reshape(part, [sum.shape[axis]!]), [axis], sum.shape);
    return p.mul(along(column, 0), along(row, 1));
  });
  return p.add(sum, terms.reduce(p.add));
}
/** XLA is five times as fast where not both operands' rows are summed over, and must be kept from writing it so. */
const turned = (p: ProgramBuilder, x: Value): Value => p.asWritten(p.transpose(x, [1, 0]));

/** Those inputs that an operation has here, in order, to be found by name among a program's values. */
function gather(all: Readonly<Record<string, Marked<TfTensor> | undefined>>) {
  const present = Object.entries(all).filter((entry): entry is [string, Marked<TfTensor>] => entry[1] !== undefined);
  const names = present.map(([name]) => name);
  return {
    names,
    tensors: present.map(([, tensor]) => tensor),
    of: (values: readonly Value[]) => (name: string) => values[names.indexOf(name)],
  };
}
