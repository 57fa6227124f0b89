import { typeError } from '../failures.js';
import { undefinedOf } from '../values/lookup.js';
import { equal } from '../values/operators.js';
import { nested, spend } from '../rendering.js';
import {
  Callable,
  iterate,
  MISSING,
  PyTuple,
  sizeOf,
  PyIterator,
  type JinjaObject,
  type Value,
} from '../values/values.js';

/** The variable `loop`. Of an iterator it reads one item ahead where `last` or `nextitem` ask for it. */
export class Loop implements JinjaObject {
  readonly type = 'LoopContext';
  index0 = -1;
  current: Value = undefined;
  #before: Value = undefined;
  #after: Value = undefined;
  #changed: PyTuple | undefined;
  #size: number | undefined;
  /** The items of a list, which need no iterator. */
  readonly #items: readonly Value[] | undefined;
  #rest: Iterator<Value> | undefined;
  readonly #depth0: number;
  readonly #recurse: ((items: Value, depth0: number) => string) | undefined;

  constructor(iterable: Value, depth0: number, recurse?: (items: Value, depth0: number) => string) {
    this.#items = Array.isArray(iterable)
      ? (iterable as Value[])
      : iterable instanceof PyTuple
        ? iterable.items
        : undefined;
    if (this.#items === undefined) this.#rest = iterate(iterable);
    this.#size = iterable instanceof PyIterator ? undefined : sizeOf(iterable);
    this.#depth0 = depth0;
    this.#recurse = recurse;
  }

  /** Goes to the next item, if there is one. */
  advance(): boolean {
    spend(1);
    const next = this.#peek();
    if (next === undefined) return false;
    this.#after = undefined;
    this.index0++;
    this.#before = this.current;
    this.current = next;
    return true;
  }

  /** The next item, undefined if there is none. */
  #peek(): Value {
    if (this.#items !== undefined) return this.#items[this.index0 + 1];
    if (this.#after === undefined) {
      const next = this.#rest!.next();
      this.#after = next.done === true ? undefined : next.value;
    }
    return this.#after;
  }

  length(): number {
    if (this.#size !== undefined) return this.#size;
    const rest: Value[] = [];
    for (let next = this.#rest!.next(); next.done !== true; next = this.#rest!.next()) {
      spend(1);
      rest.push(next.value);
    }
    this.#rest = rest.values();
    this.#size = rest.length + this.index0 + 1 + (this.#after === undefined ? 0 : 1);
    return this.#size;
  }

  attribute(name: string): Value {
    switch (name) {
      case 'index':
        return this.index0 + 1;
      case 'index0':
        return this.index0;
      case 'first':
        return this.index0 === 0;
      case 'last':
        return this.#peek() === undefined;
      case 'length':
        return this.length();
      case 'revindex':
        return this.length() - this.index0;
      case 'revindex0':
        return this.length() - this.index0 - 1;
      case 'depth':
        return this.#depth0 + 1;
      case 'depth0':
        return this.#depth0;
      case 'previtem':
        return this.index0 === 0 ? undefinedOf({ hint: 'there is no previous item' }) : this.#before;
      case 'nextitem': {
        const next = this.#peek();
        return next === undefined ? undefinedOf({ hint: 'there is no next item' }) : next;
      }
      case 'cycle':
        return new Callable('cycle', (args) => {
          if (args.length === 0) throw typeError('no items for cycling given');
          return args[this.index0 % args.length];
        });
      case 'changed':
        return new Callable('changed', (args) => {
          const value = new PyTuple(args);
          if (this.#changed !== undefined && equal(this.#changed, value)) return false;
          this.#changed = value;
          return true;
        });
      default:
        return MISSING;
    }
  }

  call(args: readonly Value[]): Value {
    if (this.#recurse === undefined)
      throw typeError("The loop must have the 'recursive' marker to be called recursively.");
    if (args.length !== 1) throw typeError(`loop takes 1 argument, got ${args.length}`);
    return nested(() => this.#recurse!(args[0], this.#depth0 + 1));
  }

  repr(): string {
    return `<LoopContext ${this.index0 + 1}/${this.length()}>`;
  }
}
