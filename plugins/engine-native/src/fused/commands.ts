import type { DType, Shape } from '@glulam/files';
import { Tensor, type Engine, type EngineShell, type FrozenWeight, type Precision } from '@glulam/tensors';
import type { CommandArguments, CommandName } from '../commands/layouts.js';
import type { Commander } from '../kernels.js';

/** What overrides of named operations are written with: commands that take the engine's tensors and weights. */
export interface FusedCommands {
  readonly precision: Precision;
  /** A tensor that the next command makes that has it as an operand. */
  make(shape: Shape, dtype?: DType): Tensor;
  run<Name extends CommandName>(name: Name, given: CommandArguments<Name, Tensor | FrozenWeight>): void;
  upload(values: Float32Array | Int32Array, shape: Shape): Tensor;
}

export function createFusedCommands<Data>(
  commander: Commander<Data>,
  shell: EngineShell<Data>,
  { precision, upload }: Engine,
): FusedCommands {
  const dataOf = (x: Tensor | FrozenWeight): Data =>
    x instanceof Tensor ? shell.operand(x).data : (x.storage as Data);
  const withData = { dataOf };
  return {
    precision,
    upload,
    make(shape, dtype = 'float32') {
      const result = { shape, dtype };
      return shell.make('allocate', result, () => commander.allocate(result));
    },
    run: (name, given) => shell.run(name, () => commander.run(name, given, withData)),
  };
}
