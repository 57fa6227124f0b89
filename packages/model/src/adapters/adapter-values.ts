import { shortLines, sizeOf } from '@glulam/files';
import { ModelError } from '../errors.js';
import { explainNames } from './peft-names.js';
import type { TrainedTensors } from './trained-tensors.js';

/** Values of one trained tensor, row-major. */
export interface TrainedValues {
  /** Whole, with the part that is not trained. */
  readonly shape: readonly number[];
  /** Those of a file are read each time that they are asked for. */
  readonly values: Float32Array;
  /** Rows `[start, end)` along the first axis, for who wants only some of a file's tensor; in memory of their own. */
  readonly readRows?: ((start: number, end: number) => Float32Array) | undefined;
}

/** Values of trained tensors by name, see `describeTrained`; a copy that several places share may be there for each. */
export type AdapterValues = ReadonlyMap<string, TrainedValues>;

/** Rows `[start, end)` along the first axis, in memory of their own. */
export function trainedRows(trained: TrainedValues, start: number, end: number): Float32Array {
  if (trained.readRows !== undefined) return trained.readRows(start, end);
  const width = sizeOf(trained.shape.slice(1));
  return trained.values.slice(start * width, end * width);
}

/** Throws a ModelError ADAPTER_INVALID that names the tensors that are missing, too many, or of another shape. */
export function checkAdapterValues(values: AdapterValues, { shapes, copies }: TrainedTensors): void {
  const faults: string[] = [];
  const missing = [...shapes.keys()].filter((name) => !values.has(name));
  const checkShape = (name: string, shape: readonly number[]): void => {
    const given = values.get(name)?.shape;
    if (given !== undefined && given.join() !== shape.join())
      faults.push(
        `${name} has shape [${given.join(', ')}]; this model needs [${shape.join(', ')}]${explainShape(name, given, shape)}`,
      );
  };
  for (const [name, shape] of shapes) checkShape(name, shape);
  const sharedWith = new Map(copies.flatMap(({ name, aliases }) => aliases.map((alias) => [alias, name] as const)));
  const unknown: string[] = [];
  for (const name of values.keys()) {
    if (shapes.has(name)) continue;
    const first = sharedWith.get(name);
    if (first === undefined) {
      unknown.push(name);
      faults.push(`${name} belongs to no adapted layer of this model`);
    } else if (!isEqual(values.get(name)!, values.get(first)))
      faults.push(`${name} differs from ${first}; these are one tensor, which the virtual layers share`);
  }
  faults.push(...missing.map((name) => `${name} is missing`));
  if (faults.length === 0) return;
  const why = explainNames(unknown) ?? (missing.length === faults.length ? onlyMissing : undefined);
  throw new ModelError(
    'ADAPTER_INVALID',
    `the adapter is not for this base and expansion:${why === undefined ? '' : ` ${why}`}\n  ${shortLines(faults)}`,
  );
}

const onlyMissing =
  'the file lacks tensors that its config names (PEFT would begin them anew with a warning); leave their layers out with layers_to_transform or exclude_modules if that is meant';

function explainShape(name: string, given: readonly number[], shape: readonly number[]): string {
  if (given.includes(0)) return ': an empty part, as DeepSpeed ZeRO-3 saves it where the parts are not gathered';
  const isVocabulary = /(^|\.)(embed_tokens|lm_head)\.weight$/.test(name) && given[1] === shape[1];
  return isVocabulary
    ? `: the adapter was trained with ${given[0]} tokens (resize_token_embeddings); put it on a base with as many`
    : '';
}

function isEqual(a: TrainedValues, b: TrainedValues | undefined): boolean {
  if (b === undefined || sizeOf(a.shape) !== sizeOf(b.shape)) return false;
  const [left, right] = [a.values, b.values];
  return left.every((value, i) => Object.is(value, right[i]));
}
