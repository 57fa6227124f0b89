import type { DType } from '@glulam/files';
import type { BinaryOperation, Engine, FrozenWeight } from '../contract/engine.js';
import * as compositions from './compositions.js';
import type {
  AttentionOptions,
  FrozenLinearOptions,
  Fused,
  FusedOperations,
  Named,
  Overrides,
  RmsNormOptions,
  RopeOptions,
} from '../contract/fused.js';
import type { RandomKey } from '../contract/philox.js';
import type { Tape } from './tape.js';
import { createTape } from './tape.js';
import { adopt, scope, Tensor } from '../contract/tensor.js';
import { TensorsError } from '../errors.js';
import { capped } from './capped.js';
import { coreOperations } from './core-operations.js';
import type { NamedOperation } from './named-operation.js';
import { segmentedLinear, segmentedScale, type FormSegment, type ScaleSegment } from './segments.js';
import { tokenLossesByRows } from './token-losses.js';

/** Inputs of the frozen linear layer with an adapter's form around it; see `FusedOperations.frozenLinear`. */
export interface LinearForm {
  /** [in]; multiplies what the frozen weight reads, but not what the low-rank path reads. */
  readonly inScale?: Tensor | undefined;
  /** [out]; multiplies the sum of the frozen product and the low-rank path, before the bias. */
  readonly outScale?: Tensor | undefined;
  /** Adds scale * B A dropout(x): A is [r, in], B is [out, r]. Dropout is inverted, see `Operations.dropout`. */
  readonly lowRank?:
    | {
        readonly A: Tensor;
        readonly B: Tensor;
        readonly scale: number;
        readonly dropout?: { readonly rate: number; readonly key: RandomKey } | undefined;
      }
    | undefined;
  /** [out]; added last. */
  readonly bias?: Tensor | undefined;
}

/**
 * Differentiable operations on an engine: the same calls as the engine's, noted on the tape while one records. Gradients
 * are float32, whatever the type of the value.
 */
export interface Operations {
  /** The engine that computes. */
  readonly engine: Engine;
  /** How activations are kept that are only read by products: bfloat16 or float32, by the engine's precision. */
  readonly activation: DType;
  /** Run a synchronous piece of the forward pass with this tape noting it. */
  recording<T>(tape: Tape, body: () => T): T;
  /**
   * Run `body` now without keeping anything but `x`, and again when its gradient is wanted. `parameters` are the watched
   * tensors that the body reads.
   */
  recomputed(x: Tensor, parameters: readonly Tensor[], body: (x: Tensor) => Tensor): Tensor;

  /** a + b; shapes broadcast as NumPy's do. */
  add(a: Tensor, b: Tensor): Tensor;
  /** a - b; shapes broadcast as NumPy's do. */
  sub(a: Tensor, b: Tensor): Tensor;
  /** a * b, element by element; shapes broadcast as NumPy's do. */
  mul(a: Tensor, b: Tensor): Tensor;
  /** a / b, element by element; shapes broadcast as NumPy's do. */
  div(a: Tensor, b: Tensor): Tensor;
  /** factor * x + offset; factor and offset take no gradient. */
  affine(x: Tensor, factor: number, offset: number): Tensor;
  /** e to the power of each element. */
  exp(x: Tensor): Tensor;
  /** The natural logarithm of each element. */
  log(x: Tensor): Tensor;
  /** 1 / sqrt(x) of each element. */
  rsqrt(x: Tensor): Tensor;
  /** 1 / (1 + exp(-x)) of each element. */
  sigmoid(x: Tensor): Tensor;
  /** Matrix products, as `Engine.matmul`. */
  matmul(a: Tensor, b: Tensor, options?: { transposeA?: boolean; transposeB?: boolean }): Tensor;
  /** The sum along an axis, which stays with length 1. */
  sum(x: Tensor, axis: number): Tensor;
  /** The sum of all elements, as a scalar []. */
  sumAll(x: Tensor): Tensor;
  /** x itself where it has the dtype already. The gradient passes unrounded. */
  cast(x: Tensor, dtype: DType): Tensor;
  /** As `Engine.slice`; the gradient is zero outside of the region. */
  slice(x: Tensor, start: readonly number[], size: readonly number[]): Tensor;
  /** As `Engine.reshape`. */
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  /** As `Engine.transpose`. */
  transpose(x: Tensor, permutation: readonly number[]): Tensor;
  /** As `Engine.concatenate`. */
  concatenate(parts: readonly Tensor[], axis: number): Tensor;
  /** As `Engine.gather`; gradients of a row that was picked several times are added. */
  gather(table: Tensor, indices: Tensor): Tensor;

  /**
   * Run a named operation: as the engine's override of this name, else as its own for this kind of engine, else as its
   * composition. Throws BAD_ARGUMENT where another operation of the same name has run on these operations.
   */
  run<Inputs extends Named, Options>(
    operation: NamedOperation<Inputs, Options>,
    inputs: Inputs,
    options: Options,
  ): Tensor;
  /** Run a forward and backward pair as one step of the tape: for compositions with a gradient of their own. */
  node<Inputs extends Named, Options>(pair: Fused<Inputs, Options>, inputs: Inputs, options: Options): Tensor;

  /** Inverted dropout: elements are dropped by the rate and the others scaled up; the same for the same key. */
  dropout(x: Tensor, dropout: { readonly rate: number; readonly key: RandomKey }): Tensor;

  /** As `FusedOperations.rmsNorm`. */
  rmsNorm(x: Tensor, weight: Tensor, options: RmsNormOptions): Tensor;
  /** As `FusedOperations.rope`, or `partialRope`. */
  rope(x: Tensor, options: RopeOptions): Tensor;
  /** As `FusedOperations.attention`; with a `softCap` as `cappedAttention`. */
  attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    options: AttentionOptions & { readonly softCap?: number | undefined },
  ): Tensor;
  /** As `FusedOperations.swiglu`. */
  swiglu(gate: Tensor, up: Tensor, options: { readonly type: DType }): Tensor;
  /** As `FusedOperations.gegluTanh`. */
  gegluTanh(gate: Tensor, up: Tensor, options: { readonly type: DType }): Tensor;
  /** softCap * tanh(x / softCap), element by element. */
  capped(x: Tensor, softCap: number): Tensor;
  /**
   * y = outScale * (W (inScale * x) + scale * B A dropout(x)) + bias. With segments, rows go through forms of their own
   * after one product with the frozen weight.
   */
  frozenLinear(x: Tensor, weight: FrozenWeight, form: LinearForm | readonly FormSegment[], type: DType): Tensor;
  /** x [rows, columns] with each segment's rows times its factor and gate, as float32: residual scales of several models. */
  scaleRows(x: Tensor, segments: readonly ScaleSegment[]): Tensor;
  /** y = W x + bias with a trained W [out, in]: float32 products, of x as it is stored. */
  linear(x: Tensor, weight: Tensor, bias: Tensor | undefined, type: DType): Tensor;
  /** As `FusedOperations.tokenLosses`, with a `softCap` as `cappedTokenLosses`; the head may be a trained tensor. */
  tokenLosses(
    x: Tensor,
    options: {
      readonly weight: FrozenWeight | Tensor;
      readonly labels: Int32Array;
      readonly softCap?: number | undefined;
    },
  ): Tensor;
  /**
   * Rows of an embedding, frozen or trained, as float32. No gradient reaches the row `withoutGradient`, as PyTorch's
   * `nn.Embedding` has it with `padding_idx`.
   */
  embedding(weight: FrozenWeight | Tensor, ids: Int32Array, withoutGradient?: number): Tensor;
  /** As `FusedOperations.adamW`; not on the tape. */
  adamW: FusedOperations['adamW'];
  /** As `FusedOperations.sumOfSquares`; not on the tape. */
  sumOfSquares: FusedOperations['sumOfSquares'];
}

/** `composed: true` ignores the engine's overrides: the reference that testEngine compares them with. */
export function createOperations(engine: Engine, { composed = false }: { composed?: boolean } = {}): Operations {
  const fused: Overrides = composed ? {} : engine.fused;
  let tape: Tape | undefined;

  const withTape = <T>(next: Tape | undefined, body: () => T): T => {
    const before = tape;
    tape = next;
    try {
      return body();
    } finally {
      tape = before;
    }
  };

  const unary = (
    x: Tensor,
    y: Tensor,
    saved: readonly Tensor[],
    gradient: (dy: Tensor, saved: Tensor) => Tensor,
  ): Tensor => {
    tape?.record(y, [x], saved, (dy, _needs, [kept]) => [gradient(dy, kept!)]);
    return y;
  };

  /** Sum a gradient over the axes along which its input was repeated. */
  const unbroadcast = (gradient: Tensor, shape: readonly number[]): Tensor => {
    let result = gradient;
    const extra = gradient.shape.length - shape.length;
    for (let axis = 0; axis < gradient.shape.length; axis++) {
      const length = axis < extra ? 1 : shape[axis - extra]!;
      if (length === 1 && result.shape[axis] !== 1) result = engine.reduce('sum', result, axis);
    }
    return result.shape.length === shape.length ? result : engine.reshape(result, shape);
  };

  const binary = (
    operation: BinaryOperation,
    a: Tensor,
    b: Tensor,
    gradients: (dy: Tensor, a: Tensor, b: Tensor) => readonly [() => Tensor, () => Tensor],
  ): Tensor => {
    const y = engine.binary(operation, a, b);
    tape?.record(y, [a, b], operation === 'add' || operation === 'sub' ? [] : [a, b], (dy, needs, saved) => {
      const [da, db] = gradients(dy, saved[0]!, saved[1]!);
      return [needs[0] ? unbroadcast(da(), a.shape) : undefined, needs[1] ? unbroadcast(db(), b.shape) : undefined];
    });
    return y;
  };

  const node: Operations['node'] = (pair, inputs, options) => {
    if (tape === undefined) return scope(() => pair.forward(inputs, options, false).output);
    const names = Object.keys(inputs);
    const given = names.map((key) => inputs[key]);
    const keep = given.some((input) => tape!.tracks(input));
    return scope(() => {
      const { output, saved } = pair.forward(inputs, options, keep);
      if (keep) {
        const held = Object.entries(saved).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
        const tensors = held.map(([, tensor]) => tensor);
        tape!.record(output, given, tensors, (dy, needs, alive) => {
          const wanted = new Set(names.filter((_, i) => needs[i]));
          const kept = Object.fromEntries(held.map(([key], i) => [key, alive[i]]));
          const gradients = pair.backward(kept, dy, options, wanted);
          return names.map((key) => gradients[key]);
        });
        if (pair.recomputes) {
          const present = names.filter((_, i) => given[i] !== undefined);
          tape!.derive(
            output,
            present.map((key) => inputs[key]!),
            (sources) => {
              const again = Object.fromEntries(present.map((key, i) => [key, sources[i]]));
              return scope(() => pair.forward(again as typeof inputs, options, false).output);
            },
          );
        }
      }
      return output;
    });
  };

  /** What runs in place of an operation's composition, and whose it is. */
  const known = new Map<string, { readonly operation: unknown; readonly override: unknown }>();
  const overrideOf = <Inputs extends Named, Options>(
    operation: NamedOperation<Inputs, Options>,
  ): Fused<Inputs, Options> | undefined => {
    const { name } = operation;
    const before = known.get(name);
    if (before !== undefined && before.operation !== operation)
      throw new TensorsError(
        'BAD_ARGUMENT',
        `two operations are named "${name}": one of this name ran before; expected a name for each: begin yours with your package's name`,
      );
    const override = composed ? undefined : (fused[name] ?? operation.overrides?.[engine.kind]?.(engine));
    const found = before ?? { operation, override };
    known.set(name, found);
    return found.override as Fused<Inputs, Options> | undefined;
  };
  for (const operation of Object.values(coreOperations)) overrideOf(operation as NamedOperation);

  const operations: Operations = {
    engine,
    activation: engine.precision,
    recording: (next, body) => withTape(next, body),

    recomputed(x, parameters, body) {
      const outer = tape;
      const y = withTape(undefined, () => scope(() => body(x)));
      if (outer === undefined) return y;
      outer.record(y, [x, ...parameters], [x], (dy, needs, [x]) => {
        const inner = createTape(engine);
        [x!, ...parameters].forEach((tensor, i) => needs[i] && inner.watch(tensor));
        const again = withTape(inner, () => scope(() => body(x!)));
        const gradients = inner.backwardNow(again, dy);
        for (const gradient of gradients.values()) adopt(gradient);
        return [x!, ...parameters].map((tensor) => gradients.get(tensor));
      });
      return y;
    },

    add: (a, b) => binary('add', a, b, (dy) => [() => dy, () => dy]),
    sub: (a, b) => binary('sub', a, b, (dy) => [() => dy, () => engine.unary('neg', dy)]),
    mul: (a, b) =>
      binary('mul', a, b, (dy, a, b) => [() => engine.binary('mul', dy, b), () => engine.binary('mul', dy, a)]),
    div: (a, b) =>
      binary('div', a, b, (dy, a, b) => [
        () => engine.binary('div', dy, b),
        () => engine.unary('neg', engine.binary('div', engine.binary('mul', dy, a), engine.binary('mul', b, b))),
      ]),
    affine: (x, factor, offset) => unary(x, engine.affine(x, factor, offset), [], (dy) => engine.affine(dy, factor, 0)),
    exp(x) {
      const y = engine.unary('exp', x);
      return unary(x, y, [y], (dy, y) => engine.binary('mul', dy, y));
    },
    log: (x) => unary(x, engine.unary('log', x), [x], (dy, x) => engine.binary('div', dy, x)),
    rsqrt(x) {
      const y = engine.unary('rsqrt', x);
      // d x^(-1/2) = -1/2 x^(-3/2) = -1/2 y^3
      return unary(x, y, [y], (dy, y) =>
        engine.affine(engine.binary('mul', dy, engine.binary('mul', y, engine.binary('mul', y, y))), -0.5, 0),
      );
    },
    sigmoid(x) {
      const y = engine.unary('sigmoid', x);
      return unary(x, y, [y], (dy, y) => engine.binary('mul', dy, engine.binary('mul', y, engine.affine(y, -1, 1))));
    },
    matmul(a, b, { transposeA = false, transposeB = false } = {}) {
      const y = engine.matmul(a, b, { transposeA, transposeB });
      tape?.record(y, [a, b], [a, b], (dy, needs, [a, b]) => [
        needs[0]
          ? transposeA
            ? engine.matmul(b!, dy, { transposeA: transposeB, transposeB: true })
            : engine.matmul(dy, b!, { transposeB: !transposeB })
          : undefined,
        needs[1]
          ? transposeB
            ? engine.matmul(dy, a!, { transposeA: true, transposeB: transposeA })
            : engine.matmul(a!, dy, { transposeA: !transposeA })
          : undefined,
      ]);
      return y;
    },
    sum(x, axis) {
      const shape = x.shape;
      return unary(x, engine.reduce('sum', x, axis), [], (dy) => engine.binary('add', dy, engine.full(shape, 0)));
    },
    sumAll: (x) => operations.reshape(operations.sum(operations.reshape(x, [x.size]), 0), []),
    cast(x, dtype) {
      if (x.dtype === dtype) return x;
      return unary(x, engine.cast(x, dtype), [], (dy) => dy);
    },
    slice(x, start, size) {
      const shape = x.shape;
      return unary(x, engine.slice(x, start, size), [], (dy) => {
        const dx = engine.full(shape, 0);
        engine.write(dx, dy, start);
        return dx;
      });
    },
    reshape(x, shape) {
      const before = x.shape;
      return unary(x, engine.reshape(x, shape), [], (dy) => engine.reshape(dy, before));
    },
    transpose(x, permutation) {
      const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
      return unary(x, engine.transpose(x, permutation), [], (dy) => engine.transpose(dy, inverse));
    },
    concatenate(parts, axis) {
      const y = engine.concatenate(parts, axis);
      tape?.record(y, parts, [], (dy, needs) => {
        let offset = 0;
        return parts.map((part, i) => {
          const start = dy.shape.map((_, other) => (other === axis ? offset : 0));
          offset += part.shape[axis]!;
          return needs[i] ? engine.slice(dy, start, part.shape) : undefined;
        });
      });
      return y;
    },
    gather(table, indices) {
      const rows = table.shape[0]!;
      return unary(table, engine.gather(table, indices), [indices], (dy, indices) =>
        engine.scatterAdd(indices, dy, rows),
      );
    },

    dropout: (x, dropout) =>
      operations.mul(operations.cast(x, 'float32'), compositions.keepMask(engine, x.shape, dropout)),

    node,
    run(operation, inputs, options) {
      const override = overrideOf(operation);
      return override === undefined
        ? scope(() => operation.compose(operations, inputs, options))
        : node(override, inputs, options);
    },
    rmsNorm: (x, weight, options) => operations.run(coreOperations.rmsNorm, { x, weight }, options),
    rope(x, options) {
      const isWhole = 2 * options.cos.shape[1]! === options.headSize;
      return operations.run(isWhole ? coreOperations.rope : coreOperations.partialRope, { x }, options);
    },
    attention(q, k, v, options) {
      const { softCap } = options;
      if (softCap === undefined) return operations.run(coreOperations.attention, { q, k, v }, options);
      return operations.run(coreOperations.cappedAttention, { q, k, v }, { ...options, softCap });
    },
    swiglu: (gate, up, options) => operations.run(coreOperations.swiglu, { gate, up }, options),
    gegluTanh: (gate, up, options) => operations.run(coreOperations.gegluTanh, { gate, up }, options),
    capped: (x, softCap) => scope(() => capped(operations, x, softCap)),
    frozenLinear(x, weight, form, type) {
      if (isSegmented(form)) {
        const [only] = form;
        if (form.length === 1 && only!.rows === x.shape[0]) return operations.frozenLinear(x, weight, only!.form, type);
        return scope(() => segmentedLinear(operations, x, weight, form, type));
      }
      const { inScale, outScale, lowRank, bias } = form;
      const options: FrozenLinearOptions = { weight, scale: lowRank?.scale ?? 0, dropout: lowRank?.dropout, type };
      const inputs = { x, inScale, outScale, A: lowRank?.A, B: lowRank?.B, bias };
      return operations.run(coreOperations.frozenLinear, inputs, options);
    },
    scaleRows: (x, segments) => scope(() => segmentedScale(operations, x, segments)),
    linear: (x, weight, bias, type) =>
      scope(() => {
        const wide = (x: Tensor): Tensor => (x.dtype === 'float32' ? x : engine.cast(x, 'float32'));
        const y = engine.matmul(wide(x), weight, { transposeB: true });
        // Not `matmul` of a cast x: the tape is to keep x as narrow as it is stored.
        tape?.record(y, [x, weight], [x, weight], (dy, needs, [x, weight]) => [
          needs[0] ? engine.matmul(dy, weight!) : undefined,
          needs[1] ? engine.matmul(dy, wide(x!), { transposeA: true }) : undefined,
        ]);
        return operations.cast(bias === undefined ? y : operations.add(y, bias), type);
      }),
    tokenLosses(x, { weight, labels, softCap }) {
      if (weight instanceof Tensor) {
        const logits = (rows: Tensor): Tensor => operations.matmul(rows, weight, { transposeB: true });
        const head = { vocabulary: weight.shape[0]!, parameters: [weight], softCap, logits };
        return scope(() => tokenLossesByRows(operations, operations.cast(x, 'float32'), head, labels));
      }
      if (softCap === undefined) return operations.run(coreOperations.tokenLosses, { x }, { weight, labels });
      return operations.run(coreOperations.cappedTokenLosses, { x }, { weight, labels, softCap });
    },
    embedding: (weight, ids, withoutGradient) =>
      scope(() => {
        if (!(weight instanceof Tensor)) return (fused.embedding ?? compositions.embedding(engine))(weight, ids);
        const rows = operations.gather(weight, engine.upload(ids, [ids.length]));
        if (withoutGradient === undefined || !ids.includes(withoutGradient)) return rows;
        const mask = Float32Array.from(ids, (id) => (id === withoutGradient ? 0 : 1));
        const keeps = engine.upload(mask, [ids.length, 1]);
        return unary(rows, engine.affine(rows, 1, 0), [keeps], (dy, keeps) => engine.binary('mul', dy, keeps));
      }),
    adamW: (updates, options) => scope(() => (fused.adamW ?? compositions.adamW(engine))(updates, options)),
    sumOfSquares: (tensors) => scope(() => (fused.sumOfSquares ?? compositions.sumOfSquares(engine))(tensors)),
  };
  return operations;
}

const isSegmented = (form: LinearForm | readonly FormSegment[]): form is readonly FormSegment[] => Array.isArray(form);
