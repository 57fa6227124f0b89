import { enumerations, layoutOf, type CommandArguments, type CommandName } from './layouts.js';

type Operands = (given: object) => readonly unknown[];
type Params = (given: object) => number[];

/** The word of a parameter that is one word, of the record `given`. */
function wordOf(name: string, kind: string): string {
  const value = `given.${name}`;
  if (kind === 'size' || kind === 'number') return value;
  if (kind === 'flag') return `${value} === true ? 1 : 0`;
  return `enumerations.${kind}.indexOf(${value})`;
}

/** Code that makes an array of the parameters' words in order; those of lists are copied one by one, after their length. */
function paramsCode(params: Readonly<Record<string, string>>): string {
  const lines = ['const words = [];'];
  let words: string[] = [];
  const push = (): void => {
    if (words.length > 0) lines.push(`words.push(${words.join(', ')});`);
    words = [];
  };
  for (const [name, kind] of Object.entries(params)) {
    if (kind !== 'key' && kind !== 'sizes' && kind !== 'numbers') {
      words.push(wordOf(name, kind));
      continue;
    }
    if (kind !== 'key') words.push(`given.${name}.length`);
    push();
    lines.push(`for (let i = 0; i < given.${name}.length; i++) words.push(given.${name}[i]);`);
  }
  push();
  return `${lines.join('\n')}\nreturn words;`;
}

/** Code that makes an array of the operands in order; undefined: an optional one that is not given. */
function operandsCode(operands: Readonly<Record<string, string>>): string {
  const values = Object.entries(operands).map(([name, kind]) => `${kind === 'list' ? '...' : ''}given.${name}`);
  return `return [${values.join(', ')}];`;
}

// A function for each command, made from its layout: it sees records of one shape, whose fields V8 reads at fixed places, where one
// function for all commands would look every field up by its name.
const encoders = new Map(
  [...layoutOf].map(([name, { operands, params }]) => {
    const make = (code: string): unknown => {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- made of names in layouts.ts alone
      const factory = new Function('enumerations', `return (given) => {\n${code}\n};`) as (of: object) => unknown;
      return factory(enumerations);
    };
    return [name, { operands: make(operandsCode(operands)) as Operands, params: make(paramsCode(params)) as Params }];
  }),
);

/** The operands of a command in the order of its layout; undefined: an optional one that is not given. */
export const operandsOf = <Name extends CommandName, T>(
  name: Name,
  given: CommandArguments<Name, T>,
): readonly (T | undefined)[] => encoders.get(name)!.operands(given) as readonly (T | undefined)[];

/** The parameters of a command in the order of its layout. Lists of numbers come after their length. */
export const paramsOf = <Name extends CommandName>(name: Name, given: CommandArguments<Name, unknown>): number[] =>
  encoders.get(name)!.params(given);
