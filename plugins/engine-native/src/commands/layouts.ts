import { createHash } from 'node:crypto';
import type { DType } from '@glulam/files';
import type { BinaryOperation, RandomKey, Reduction, UnaryOperation } from '@glulam/tensors';

/** What kinds of parameters a command has, and what they are here. */
interface ParamValues {
  /** An integer from 0. */
  readonly size: number;
  readonly number: number;
  readonly flag: boolean;
  readonly dtype: DType;
  readonly key: RandomKey;
  readonly sizes: readonly number[];
  readonly numbers: readonly number[];
  readonly Unary: UnaryOperation;
  readonly Binary: BinaryOperation;
  readonly Reduction: Reduction;
}

interface Layout {
  /** What is computed alike under several names, so that a failure says for what it was. */
  readonly commands: readonly string[];
  /** Results and inputs, in order; a `list` comes last. */
  readonly operands: Readonly<Record<string, 'operand' | 'optional' | 'list'>>;
  readonly params: Readonly<Record<string, keyof ParamValues>>;
}

const attention = {
  queries: 'size',
  keys: 'size',
  heads: 'size',
  keyValueHeads: 'size',
  headSize: 'size',
  window: 'size',
  scale: 'number',
  /** 0: none. */
  softCap: 'number',
  /** Of each: queryStart, queryLength, keyStart, keyLength. */
  segments: 'sizes',
} as const;

/**
 * The arguments of every command, in the order in which they are sent. native/commands/arguments.h is made from this
 * (`npx vitest run commands/layouts -u`), so the two sides agree; an addon that was made from another one is refused.
 */
export const layouts = {
  upload: { commands: ['upload'], operands: { y: 'operand' }, params: { type: 'dtype', elements: 'size' } },
  empty: { commands: ['empty'], operands: { y: 'operand' }, params: { type: 'dtype', elements: 'size' } },
  free: { commands: ['free'], operands: {}, params: {} },
  weight: {
    commands: ['weight'],
    operands: { y: 'operand' },
    params: { type: 'dtype', elements: 'size', file: 'size', offset: 'size' },
  },
  /** `places`: file and offset of each part. The payload is the row order, unless that is the stored one. */
  encodedWeight: {
    commands: ['encodedWeight'],
    operands: { y: 'operand' },
    params: { format: 'size', rows: 'size', columns: 'size', first: 'size', places: 'sizes' },
  },
  read: { commands: ['read'], operands: { x: 'operand' }, params: { bytes: 'size' } },

  full: { commands: ['full'], operands: { y: 'operand' }, params: { elements: 'size', value: 'number' } },
  /** `elements` of x from `first` on, of `available`. */
  part: {
    commands: ['readWeight', 'cast'],
    operands: { y: 'operand', x: 'operand' },
    params: { type: 'dtype', elements: 'size', available: 'size', first: 'size' },
  },
  unary: {
    commands: ['unary'],
    operands: { y: 'operand', x: 'operand' },
    params: { operation: 'Unary', elements: 'size' },
  },
  binary: {
    commands: ['binary'],
    operands: { y: 'operand', a: 'operand', b: 'operand' },
    params: {
      operation: 'Binary',
      elementsOfA: 'size',
      elementsOfB: 'size',
      shape: 'sizes',
      stridesOfA: 'sizes',
      stridesOfB: 'sizes',
    },
  },
  affine: {
    commands: ['affine'],
    operands: { y: 'operand', x: 'operand' },
    params: { elements: 'size', factor: 'number', offset: 'number' },
  },
  select: {
    commands: ['select'],
    operands: { y: 'operand', condition: 'operand', a: 'operand', b: 'operand' },
    params: {
      elementsOfCondition: 'size',
      elementsOfA: 'size',
      elementsOfB: 'size',
      shape: 'sizes',
      stridesOfCondition: 'sizes',
      stridesOfA: 'sizes',
      stridesOfB: 'sizes',
    },
  },
  reduce: {
    commands: ['reduce'],
    operands: { y: 'operand', x: 'operand' },
    params: { operation: 'Reduction', outer: 'size', length: 'size', inner: 'size' },
  },
  gather: {
    commands: ['gather', 'embedding'],
    operands: { y: 'operand', table: 'operand', indices: 'operand' },
    params: { rows: 'size', width: 'size', count: 'size' },
  },
  scatterAdd: {
    commands: ['scatterAdd'],
    operands: { y: 'operand', indices: 'operand', values: 'operand' },
    params: { rows: 'size', width: 'size', count: 'size' },
  },
  /** y of `shape` is what `strides` reach in x, of `available` elements, from `offset` on. */
  pick: {
    commands: ['slice', 'transpose'],
    operands: { y: 'operand', x: 'operand' },
    params: { shape: 'sizes', strides: 'sizes', offset: 'size', available: 'size' },
  },
  /** The same places of the target are overwritten with a value of `shape`. */
  put: {
    commands: ['concatenate', 'write'],
    operands: { target: 'operand', value: 'operand' },
    params: { shape: 'sizes', strides: 'sizes', offset: 'size', available: 'size' },
  },
  argmax: {
    commands: ['argmax'],
    operands: { y: 'operand', x: 'operand' },
    params: { rows: 'size', columns: 'size' },
  },
  random: { commands: ['random'], operands: { y: 'operand' }, params: { elements: 'size', key: 'key' } },

  /**
   * c = alpha a b + beta c, each matrix of the batch [m, k] x [k, n]. c is made, unless it `exists` and has `elements`, of
   * which the result's begin at `offset`. `bfloat16`: both operands are rounded to it.
   */
  product: {
    commands: ['matmul', 'frozenLinear', 'tokenLosses'],
    operands: { c: 'operand', a: 'operand', b: 'operand' },
    params: {
      batch: 'size',
      m: 'size',
      n: 'size',
      k: 'size',
      transposeA: 'flag',
      transposeB: 'flag',
      alpha: 'number',
      beta: 'number',
      bfloat16: 'flag',
      type: 'dtype',
      exists: 'flag',
      offset: 'size',
      elements: 'size',
    },
  },
  /**
   * With w [n, k] and b [n, rank] where `forward`, else w [k, n] and b [rank, n]: z = x w + factor u b and
   * y = z * outScale + bias. With v [m, k] and a [rank, k], u = v a is made first.
   */
  adaptedLinear: {
    commands: ['adaptedLinear'],
    operands: {
      y: 'operand',
      z: 'optional',
      x: 'operand',
      w: 'operand',
      u: 'optional',
      b: 'optional',
      outScale: 'optional',
      bias: 'optional',
      v: 'optional',
      a: 'optional',
    },
    params: {
      m: 'size',
      n: 'size',
      k: 'size',
      forward: 'flag',
      rank: 'size',
      factor: 'number',
      bfloat16: 'flag',
      type: 'dtype',
      typeOfZ: 'dtype',
    },
  },
  /** y = x * scale + bias, along columns. */
  scaleColumns: {
    commands: ['scaleColumns'],
    operands: { y: 'operand', x: 'operand', scale: 'optional', bias: 'optional' },
    params: { rows: 'size', columns: 'size', type: 'dtype' },
  },
  /** Each row of x times its factor. */
  scaleRows: {
    commands: ['scaleRows'],
    operands: { y: 'operand', x: 'operand', factors: 'operand' },
    params: { rows: 'size', columns: 'size' },
  },
  /** Of x, or of x * y, down each column. */
  columnSums: {
    commands: ['columnSums'],
    operands: { sums: 'operand', x: 'operand', y: 'optional' },
    params: { rows: 'size', columns: 'size' },
  },
  /** target += x */
  accumulate: {
    commands: ['accumulate'],
    operands: { target: 'operand', x: 'operand' },
    params: { elements: 'size' },
  },

  /** rstd: 1 / sqrt(mean(x^2) + epsilon) of each row, which backward reads. */
  rmsNorm: {
    commands: ['rmsNorm'],
    operands: { y: 'operand', rstd: 'operand', x: 'operand', weight: 'operand' },
    params: { rows: 'size', width: 'size', epsilon: 'number', type: 'dtype' },
  },
  rmsNormBackward: {
    commands: ['rmsNormBackward'],
    operands: {
      dx: 'operand',
      dWeight: 'optional',
      dy: 'operand',
      x: 'operand',
      weight: 'operand',
      rstd: 'operand',
    },
    params: { rows: 'size', width: 'size' },
  },
  rope: {
    commands: ['rope'],
    operands: { y: 'operand', x: 'operand', cos: 'operand', sin: 'operand' },
    params: { rows: 'size', heads: 'size', headSize: 'size', pairs: 'size', type: 'dtype', inverse: 'flag' },
  },
  /** lse: log sum exp of each query's scores, by head, which backward reads. */
  attention: {
    commands: ['attention'],
    operands: { out: 'operand', lse: 'operand', q: 'operand', k: 'operand', v: 'operand' },
    params: { ...attention, type: 'dtype' },
  },
  attentionBackward: {
    commands: ['attentionBackward'],
    operands: {
      dq: 'operand',
      dk: 'operand',
      dv: 'operand',
      dOut: 'operand',
      q: 'operand',
      k: 'operand',
      v: 'operand',
      out: 'operand',
      lse: 'operand',
    },
    params: attention,
  },
  gated: {
    commands: ['swiglu', 'gegluTanh'],
    operands: { y: 'operand', gate: 'operand', up: 'operand' },
    params: { elements: 'size', type: 'dtype' },
  },
  gatedBackward: {
    commands: ['swigluBackward', 'gegluTanhBackward'],
    operands: { dGate: 'operand', dUp: 'operand', dy: 'operand', gate: 'operand', up: 'operand' },
    params: { elements: 'size' },
  },
  dropout: {
    commands: ['dropout'],
    operands: { y: 'operand', x: 'operand' },
    params: { elements: 'size', rate: 'number', key: 'key' },
  },
  /** To `available` losses from `first` on, of logits with a softCap (0: none). With `gradient`, that of each row's loss is left where its logits were. */
  crossEntropy: {
    commands: ['crossEntropy'],
    operands: { losses: 'operand', logits: 'operand', targets: 'operand' },
    params: {
      rows: 'size',
      vocabulary: 'size',
      first: 'size',
      available: 'size',
      softCap: 'number',
      gradient: 'flag',
    },
  },
  /** Of each: parameter, gradient, mean and variance, of so many `elements`. */
  adamW: {
    commands: ['adamW'],
    operands: { tensors: 'list' },
    params: {
      beta1: 'number',
      beta2: 'number',
      epsilon: 'number',
      step: 'number',
      gradientScale: 'number',
      elements: 'sizes',
      learningRates: 'numbers',
      weightDecays: 'numbers',
    },
  },
  sumOfSquares: {
    commands: ['sumOfSquares'],
    operands: { sum: 'operand', tensors: 'list' },
    params: { elements: 'sizes' },
  },
} as const satisfies Readonly<Record<string, Layout>>;

/** Members of the native side's enumerations, in their order (native/types.h, native/kernels/kernels.h). */
export const enumerations = {
  dtype: ['float32', 'bfloat16', 'float16', 'int32'],
  Unary: ['neg', 'exp', 'log', 'sqrt', 'rsqrt', 'sigmoid'],
  Binary: ['add', 'sub', 'mul', 'div', 'max', 'greaterEqual'],
  Reduction: ['sum', 'max'],
} as const satisfies { readonly [Kind in keyof ParamValues]?: readonly ParamValues[Kind][] };

/** What this is and how it is sent, in short; the addon says the same of what it was made from. */
export const layoutsHash = createHash('sha256')
  .update(JSON.stringify(['batches', layouts, enumerations]))
  .digest('hex')
  .slice(0, 16);

type Layouts = typeof layouts;
type LayoutOf<Name> = {
  [Key in keyof Layouts]: Name extends Layouts[Key]['commands'][number] ? Layouts[Key] : never;
}[keyof Layouts];

/** What the worker can do. */
export type CommandName = Layouts[keyof Layouts]['commands'][number];

type Operands<Given, T> = {
  readonly [Key in keyof Given as Given[Key] extends 'optional' ? never : Key]: Given[Key] extends 'list'
    ? readonly T[]
    : T;
} & { readonly [Key in keyof Given as Given[Key] extends 'optional' ? Key : never]?: T | undefined };
type Params<Given> = {
  readonly [Key in keyof Given]: Given[Key] extends keyof ParamValues ? ParamValues[Given[Key]] : never;
};

/** The arguments of a command, by name; operands are of type `T`. */
export type CommandArguments<Name extends CommandName, T> =
  LayoutOf<Name> extends { readonly operands: infer Given; readonly params: infer Rest }
    ? Operands<Given, T> & Params<Rest>
    : never;

/** By command. */
export const layoutOf: ReadonlyMap<string, Layout> = new Map(
  Object.values<Layout>(layouts).flatMap((layout) => layout.commands.map((name) => [name, layout])),
);
