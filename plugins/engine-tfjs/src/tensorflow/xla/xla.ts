import { tfTypes, type Attribute, type TfTensor } from '../binding.js';
import { attribute, type TfOperations } from '../operations.js';
import {
  elementOf,
  tfTypeOfElement,
  writeProgram,
  type Program,
  type ProgramBuilder,
  type Value,
} from './stablehlo.js';

/** TensorFlow's compiler, which runs a whole program as one operation. */
export interface Xla {
  /**
   * Whether an operation on so many rows is worth a program. Each number of rows is compiled anew, in tens of
   * milliseconds, and kept: small ones, and those of a generated token, are left to TensorFlow's own operations.
   */
  takes(rows: number): boolean;
  /**
   * Run a program. What is marked as `perRow` has the rows as its first axis: such inputs are padded to one of a few numbers
   * of rows, and such results are cut again. Rows that are added are zeros, or what an earlier program gave for them: finite,
   * and 0 in gradients, since every gradient is linear in those that it comes from. No other row may depend on them but by a
   * sum over rows of their product with a gradient.
   *
   * @param key what distinguishes the program beside the shapes and types of its inputs
   */
  run(
    name: string,
    key: readonly (string | number | boolean)[],
    rows: number,
    inputs: readonly Marked<TfTensor>[],
    body: (builder: ProgramBuilder, inputs: readonly Value[]) => readonly Marked<Value>[],
  ): TfTensor[];
}

export interface Marked<T> {
  readonly of: T;
  readonly perRow: boolean;
}
export const perRow = <T>(of: T): Marked<T> => ({ of, perRow: true });
export const whole = <T>(of: T): Marked<T> => ({ of, perRow: false });

/** The next of eight numbers an octave: less than an eighth of them is padding. */
export function paddedRows(rows: number): number {
  const unit = Math.max(1, 2 ** Math.floor(Math.log2(rows)) / 8);
  return Math.ceil(rows / unit) * unit;
}

/** A program as its operation's attributes. */
interface Compiled {
  readonly attributes: readonly Attribute[];
  readonly scratchBytes: number;
  /** Of each result, whether it has the rows as its first axis. */
  readonly marks: readonly boolean[];
}

/**
 * @returns undefined where this TensorFlow has no such operation, or its addon was not built by `glulam-tfjs setup`, without
 *   which it cannot be given its attributes.
 */
export function createXla(ops: TfOperations, leastRows: number): Xla | undefined {
  const { binding } = ops;
  const platform = binding.isUsingGpuDevice() ? 'CUDA' : 'CPU';
  const programs = new Map<string, Compiled>();

  const compile = (
    { text, results, scratchBytes }: Program,
    inputs: readonly TfTensor[],
    marks: readonly boolean[],
  ): Compiled => ({
    attributes: [
      attribute('version', 'int', 9),
      attribute('module', 'string', text),
      attribute('platforms', 'string', platform),
      attribute(
        'Tin',
        'int',
        inputs.map(({ dtype }) => dtype),
      ),
      attribute(
        'Tout',
        'int',
        results.map(({ element }) => tfTypeOfElement[element]),
      ),
      attribute(
        'Sout',
        'int',
        results.flatMap(({ shape }) => [shape.length, ...shape]),
      ),
    ],
    scratchBytes,
    marks,
  });
  const execute = ({ attributes, scratchBytes, marks }: Compiled, inputs: readonly TfTensor[]): TfTensor[] => {
    binding.noteScratch?.(scratchBytes);
    return ops.runMany('XlaCallModule', inputs, marks.length, ...attributes);
  };
  const padded = (x: TfTensor, rows: number): TfTensor => {
    if (x.shape[0] === rows) return x;
    return x.padded?.shape[0] === rows ? x.padded : ops.pad(x, 0, 0, rows - x.shape[0]!);
  };

  /** One product of bfloat16 values with a float32 result, exact in both. */
  const works = (): boolean => {
    // A plan counts on it and has no values to compare.
    if (binding.noteScratch !== undefined) return true;
    const probe = writeProgram('probe', [{ shape: [1, 2], element: 'bf16' }], (p, [x]) => [
      p.product(x!, x!, 'columns', 'columns'),
    ]);
    try {
      const x = ops.cast(ops.floats(Float32Array.of(3, 257), [1, 2]), tfTypes.bfloat16);
      return binding.tensorDataSync(execute(compile(probe, [x], [false]), [x])[0]!.id)[0] === 9 + 256 * 256;
    } catch {
      // The binding tells of a missing operation and of attributes that it cannot give by the same kind of error.
      return false;
    }
  };
  let found = false;
  ops.arena(() => {
    found = works();
    return [];
  });
  if (!found) return undefined;

  return {
    takes: (rows) => rows >= leastRows,
    run(name, key, rows, inputs, body) {
      const length = paddedRows(rows);
      const tensors = inputs.map(({ of, perRow }) => (perRow ? padded(of, length) : of));
      let id = `${name} ${key.join()}`;
      for (const { shape, dtype } of tensors) id += ` ${dtype}:${shape.join()}`;
      let program = programs.get(id);
      if (program === undefined) {
        let marks: readonly boolean[] = [];
        const types = tensors.map(({ shape, dtype }) => ({ shape, element: elementOf(dtype) }));
        const written = writeProgram(name, types, (builder, values) => {
          const results = body(builder, values);
          marks = results.map(({ perRow }) => perRow);
          return results.map(({ of }) => of);
        });
        program = compile(written, tensors, marks);
        programs.set(id, program);
      }
      const { marks } = program;
      const results = execute(program, tensors);
      return length === rows ? results : results.map((x, i) => (marks[i]! ? ops.firstRows(x, rows) : x));
    },
  };
}
