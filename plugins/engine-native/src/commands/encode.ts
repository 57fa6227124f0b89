import { enumerations, layoutOf, type CommandArguments, type CommandName } from './layouts.js';

/** Commands one after the other, as the worker reads them: see native/threads/queue.h. */
export class Words {
  /** The first `used` are in use. */
  values = new Float64Array(1024);
  used = 0;

  /** Make room for so many more. */
  reserve(count: number): void {
    if (this.used + count <= this.values.length) return;
    const wider = new Float64Array(2 * (this.used + count));
    wider.set(this.values);
    this.values = wider;
  }
}

/** An operand that is not given. */
const absent = 0xffffffff;

/** Writes one command; `numberOf` gives the worker's number of an operand. Makes `freed` empty. */
type Encoder = (words: Words, freed: number[], given: object, numberOf: (operand: unknown) => number) => void;

/** The word of a parameter that is one word, of the record `given`. */
function wordOf(name: string, kind: string): string {
  const value = `given.${name}`;
  if (kind === 'size' || kind === 'number') return value;
  if (kind === 'flag') return `${value} === true ? 1 : 0`;
  return `enumerations.${kind}.indexOf(${value})`;
}

/** Statements that write operands and parameters in order; those of lists one by one, parameters after their length. */
function encoderCode(operation: number, name: string): string {
  const { operands, params } = layoutOf.get(name)!;
  const [ids, rest]: [string[], string[]] = [[], []];
  const counts = { ids: 0, params: 0 };
  const lists = { ids: '', params: '' };
  for (const [key, kind] of Object.entries(operands)) {
    const value = `given.${key}`;
    if (kind === 'list') {
      lists.ids += ` + ${value}.length`;
      ids.push(`for (let i = 0; i < ${value}.length; i++) values[at++] = numberOf(${value}[i]);`);
      continue;
    }
    counts.ids += 1;
    ids.push(`values[at++] = ${kind === 'optional' ? `${value} === undefined ? absent : ` : ''}numberOf(${value});`);
  }
  for (const [key, kind] of Object.entries(params)) {
    const value = `given.${key}`;
    if (kind !== 'key' && kind !== 'sizes' && kind !== 'numbers') {
      counts.params += 1;
      rest.push(`values[at++] = ${wordOf(key, kind)};`);
      continue;
    }
    if (kind !== 'key') {
      counts.params += 1;
      rest.push(`values[at++] = ${value}.length;`);
    }
    lists.params += ` + ${value}.length`;
    rest.push(`for (let i = 0; i < ${value}.length; i++) values[at++] = ${value}[i];`);
  }
  return `(words, freed, given, numberOf) => {
    const ids = ${counts.ids}${lists.ids};
    const params = ${counts.params}${lists.params};
    words.reserve(4 + freed.length + ids + params);
    const { values } = words;
    let at = words.used;
    values[at++] = ${operation};
    values[at++] = freed.length;
    values[at++] = ids;
    values[at++] = params;
    for (let i = 0; i < freed.length; i++) values[at++] = freed[i];
    ${[...ids, ...rest].join('\n    ')}
    words.used = at;
    freed.length = 0;
  }`;
}

/**
 * A function for each command, made from its layout: it sees records of one shape, whose fields V8 reads at fixed places, where
 * one function for all commands would look every field up by its name.
 *
 * @param operations a command's number is its place here
 */
export function createEncoders(operations: readonly string[]): ReadonlyMap<string, Encoder> {
  return new Map(
    operations.map((name, number) => {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- made of names in layouts.ts alone
      const make = new Function('enumerations', 'absent', `return ${encoderCode(number, name)};`) as (
        of: object,
        absent: number,
      ) => Encoder;
      return [name, make(enumerations, absent)];
    }),
  );
}

/** The operands of a command in the order of its layout; undefined: an optional one that is not given. */
export function operandsOf<Name extends CommandName, T>(
  name: Name,
  given: CommandArguments<Name, T>,
): (T | undefined)[] {
  const byName = given as Readonly<Record<string, T | readonly T[] | undefined>>;
  return Object.keys(layoutOf.get(name)!.operands).flatMap((key) => byName[key] as T | T[] | undefined);
}
