import { typeError } from '../failures.js';
import { noKwargs, type Kwargs, type Value } from '../values/values.js';

/** A filter or a test: the value in front of it, and what stands in its parentheses. */
export type Filter = (value: Value, args: readonly Value[], kwargs: Kwargs) => Value;

/**
 * A filter with named parameters, as a Python function has them.
 *
 * @param names of what follows the value, those that may be left out with a '?' at the end; these arrive as undefined
 */
export function filter(names: readonly string[], run: (value: Value, ...args: Value[]) => Value): Filter {
  const bare = names.map((name) => name.replace('?', ''));
  const least = names.filter((name) => !name.endsWith('?')).length;
  return (value, args, kwargs) => {
    if (args.length === 0 && kwargs.size === 0 && least === 0) return run(value);
    return run(value, ...bind(bare, least, args, kwargs));
  };
}

/** The arguments in the order of the parameters; undefined where none is given. */
export function bind(names: readonly string[], least: number, args: readonly Value[], kwargs: Kwargs): Value[] {
  if (args.length > names.length) throw typeError(`expected at most ${names.length} arguments, got ${args.length}`);
  const all = [...args];
  if (kwargs !== noKwargs)
    for (const [name, value] of kwargs) {
      const at = names.indexOf(name);
      if (at === -1) throw typeError(`got an unexpected keyword argument '${name}'`);
      if (at < args.length) throw typeError(`got multiple values for argument '${name}'`);
      all[at] = value;
    }
  for (let index = 0; index < least; index++)
    if (all[index] === undefined) throw typeError(`missing a required argument: '${names[index]}'`);
  return all;
}
