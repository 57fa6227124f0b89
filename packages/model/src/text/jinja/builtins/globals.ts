import { LimitError, PythonError, typeError, valueError } from '../failures.js';
import { isIterable } from '../values/operators.js';
import { bind } from './parameters.js';
import { currentDialect } from '../rendering.js';
import { toText } from '../values/repr.js';
import { strftime } from './strftime.js';
import {
  Callable,
  indexOf,
  isText,
  iterable,
  MISSING,
  Namespace,
  PyDict,
  PyObject,
  PyRange,
  PyTuple,
  textOf,
  typeName,
  Undefined,
  type Kwargs,
  type Value,
} from '../values/values.js';

/** The longest range that Jinja's sandbox allows. */
const longestRange = 100_000;

function range(args: readonly Value[]): PyRange {
  if (args.length < 1 || args.length > 3) throw typeError(`range expected 1 to 3 arguments, got ${args.length}`);
  const numbers = args.map((arg) => {
    if (arg instanceof Undefined && arg.strict) throw arg.fail();
    return indexOf(arg);
  });
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  if (step === 0) throw valueError('range() arg 3 must not be zero');
  const made = new PyRange(start, stop, step);
  if (currentDialect().sandboxed && made.length > longestRange)
    throw new PythonError(
      'OverflowError',
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${longestRange}).`,
    );
  return made;
}

function dict(args: readonly Value[], kwargs: Kwargs): PyDict {
  const [source] = args;
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`);
  const made =
    source === undefined ? new PyDict() : PyDict.of(source instanceof PyDict ? source.entries() : pairs(source));
  for (const [name, value] of kwargs) made.set(name, value);
  return made;
}

function* pairs(source: Value): Iterable<readonly [Value, Value]> {
  for (const pair of iterable(source)) {
    if (!isIterable(pair)) throw typeError('cannot convert dictionary update sequence element to a sequence');
    const items = [...iterable(pair)];
    if (items.length !== 2)
      throw valueError(`dictionary update sequence element has length ${items.length}; 2 is required`);
    yield [items[0], items[1]];
  }
}

function namespace(args: readonly Value[], kwargs: Kwargs): Namespace {
  const attributes = new Map<string, Value>();
  for (const [name, value] of dict(args, kwargs).entries()) {
    if (!isText(name)) throw new LimitError('a namespace whose names are no texts');
    attributes.set(textOf(name), value);
  }
  return new Namespace(attributes);
}

function cycler(items: readonly Value[]): PyObject {
  if (items.length === 0) throw new PythonError('RuntimeError', 'at least one item has to be provided');
  let at = 0;
  return new PyObject({
    type: 'Cycler',
    attribute(name) {
      switch (name) {
        case 'current':
          return items[at];
        case 'items':
          return new PyTuple(items);
        case 'pos':
          return at;
        case 'next':
          return new Callable('next', () => {
            const item = items[at];
            at = (at + 1) % items.length;
            return item;
          });
        case 'reset':
          return new Callable('reset', () => {
            at = 0;
            return null;
          });
        default:
          return MISSING;
      }
    },
  });
}

function joiner(args: readonly Value[], kwargs: Kwargs): PyObject {
  const [separator = ', '] = bind(['sep'], 0, args, kwargs);
  let used = false;
  return new PyObject({
    type: 'Joiner',
    attribute: (name) => (name === 'sep' ? separator : name === 'used' ? used : MISSING),
    call() {
      if (used) return separator;
      used = true;
      return '';
    },
  });
}

const noNames =
  (name: string, run: (args: readonly Value[]) => Value) =>
  (args: readonly Value[], kwargs: Kwargs): Value => {
    if (kwargs.size > 0) throw typeError(`${name}() takes no keyword arguments`);
    return run(args);
  };

export const globals: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['range', new Callable('range', noNames('range', range), 'type')],
  ['dict', new Callable('dict', dict, 'type')],
  ['namespace', new Callable('namespace', namespace, 'type')],
  ['cycler', new Callable('cycler', noNames('cycler', cycler), 'type')],
  ['joiner', new Callable('joiner', joiner, 'type')],
  [
    'lipsum',
    new Callable('lipsum', () => {
      throw new LimitError('lipsum, whose text is different every time');
    }),
  ],
]);

/** The template's own refusal, by `raise_exception`. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** What transformers adds to the globals. */
export function chatGlobals(clock: () => Date): ReadonlyMap<string, Value> {
  return new Map<string, Value>([
    [
      'raise_exception',
      new Callable('raise_exception', (args, kwargs) => {
        const [message] = bind(['message'], 1, args, kwargs);
        throw new Refusal(message === null ? 'None' : toText(message));
      }),
    ],
    [
      'strftime_now',
      new Callable('strftime_now', (args, kwargs) => {
        const [format] = bind(['format'], 1, args, kwargs);
        if (!isText(format)) throw typeError(`strftime() argument 1 must be str, not ${typeName(format)}`);
        return strftime(clock(), textOf(format));
      }),
    ],
  ]);
}
