import { enumerations, layoutOf, type CommandArguments, type CommandName } from './layouts.js';

type Values = Readonly<Record<string, unknown>>;

/** How a parameter is written: as it is, as 0 or 1, as several words, after its length, or as its place in an enumeration. */
type Code = 'number' | 'flag' | 'key' | 'list' | readonly string[];

/** A layout in the form that encoding goes through fastest. */
interface Plan {
  readonly operands: readonly string[];
  /** The last operand is a list of them. */
  readonly endsInList: boolean;
  readonly params: readonly string[];
  readonly codes: readonly Code[];
}

const codeOf = (kind: string): Code => {
  if (kind === 'size' || kind === 'number') return 'number';
  if (kind === 'sizes' || kind === 'numbers') return 'list';
  return kind === 'flag' || kind === 'key' ? kind : enumerations[kind as keyof typeof enumerations];
};
const plans = new Map(
  [...layoutOf].map(([name, { operands, params }]): [string, Plan] => [
    name,
    {
      operands: Object.keys(operands),
      endsInList: Object.values(operands).at(-1) === 'list',
      params: Object.keys(params),
      codes: Object.values(params).map(codeOf),
    },
  ]),
);

/** The operands of a command in the order of its layout; undefined: an optional one that is not given. */
export function operandsOf<Name extends CommandName, T>(
  name: Name,
  given: CommandArguments<Name, T>,
): readonly (T | undefined)[] {
  const { operands, endsInList } = plans.get(name)!;
  const values = given as Values;
  const found: (T | undefined)[] = [];
  for (let i = 0; i < operands.length; i++) {
    const value = values[operands[i]!];
    if (endsInList && i === operands.length - 1) found.push(...(value as readonly T[]));
    else found.push(value as T | undefined);
  }
  return found;
}

/** The parameters of a command in the order of its layout. Lists of numbers come after their length. */
export function paramsOf<Name extends CommandName>(name: Name, given: CommandArguments<Name, unknown>): number[] {
  const { params, codes } = plans.get(name)!;
  const values = given as Values;
  const words: number[] = [];
  for (let i = 0; i < params.length; i++) {
    const value = values[params[i]!];
    const code = codes[i]!;
    if (code === 'number') words.push(value as number);
    else if (code === 'flag') words.push(value === true ? 1 : 0);
    else if (code === 'key' || code === 'list') {
      const list = value as readonly number[];
      if (code === 'list') words.push(list.length);
      for (let j = 0; j < list.length; j++) words.push(list[j]!);
    } else words.push(code.indexOf(value as string));
  }
  return words;
}
