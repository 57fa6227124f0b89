import type { DType } from '@glulam/files';
import type { RandomKey } from '@glulam/tensors';
import { enumerations, layoutOf, type CommandArguments, type CommandName } from './layouts.js';

/** A command as it is sent. */
interface EncodedCommand<T> {
  /** undefined: an optional one that is not given. */
  readonly operands: readonly (T | undefined)[];
  readonly params: readonly number[];
}

type Values = Readonly<Record<string, unknown>>;

const entriesOf = new Map(
  [...layoutOf].map(([name, { operands, params }]) => [
    name,
    { operands: Object.entries(operands), params: Object.entries(params) },
  ]),
);

/** The operands and parameters of a command, in the order of its layout. Lists of numbers come after their length. */
export function encodeCommand<Name extends CommandName, T>(
  name: Name,
  given: CommandArguments<Name, T>,
): EncodedCommand<T> {
  const layout = entriesOf.get(name)!;
  const values = given as Values;
  const operands: (T | undefined)[] = [];
  for (const [key, kind] of layout.operands) {
    if (kind === 'list') operands.push(...(values[key] as readonly T[]));
    else operands.push(values[key] as T | undefined);
  }
  const params: number[] = [];
  for (const [key, kind] of layout.params) {
    const value = values[key];
    if (kind === 'size' || kind === 'number') params.push(value as number);
    else if (kind === 'flag') params.push(Number(value));
    else if (kind === 'key') params.push(...(value as RandomKey));
    else if (kind === 'sizes' || kind === 'numbers') {
      const list = value as readonly number[];
      params.push(list.length, ...list);
    } else params.push((enumerations[kind] as readonly string[]).indexOf(value as DType));
  }
  return { operands, params };
}

/** The same arguments with operands of another type. */
export function mapOperands<Name extends CommandName, From, To>(
  name: Name,
  given: CommandArguments<Name, From>,
  map: (operand: From) => To,
): CommandArguments<Name, To> {
  const result: Record<string, unknown> = { ...(given as Values) };
  for (const [key, kind] of entriesOf.get(name)!.operands) {
    const value = result[key];
    if (kind === 'list') result[key] = (value as readonly From[]).map(map);
    else if (value !== undefined) result[key] = map(value as From);
  }
  return result as CommandArguments<Name, To>;
}
