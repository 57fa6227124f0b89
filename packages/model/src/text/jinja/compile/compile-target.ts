import { LimitError, typeError, valueError } from '../failures.js';
import { reader, writer, type Frame, type Read, type Write } from './frame.js';
import type { Target } from '../parse/nodes.js';
import { isIterable } from '../values/operators.js';
import { iterable, Namespace, PyTuple, typeName, Undefined, type Value } from '../values/values.js';

/** What writes to a target; `unpack` takes a value apart as Python does. */
export function compileTarget(target: Target, frame: Frame): Write {
  switch (target.kind) {
    case 'name': {
      const write = writer(frame, frame.symbols.ref(target.name, target.line));
      if (!frame.toplevel || !frame.template.hasBlocks) return write;
      return (a, value) => {
        write(a, value);
        a.context.own.set(target.name, value);
      };
    }
    case 'namespace': {
      const read = reader(frame, frame.symbols.ref(target.name, target.line));
      return (a, value) => {
        const namespace = read(a);
        if (!(namespace instanceof Namespace))
          throw new LimitError('a block that sets an item of anything but a namespace');
        namespace.attributes.set(target.attribute, value);
      };
    }
    case 'tuple': {
      const writes = target.items.map((item) => compileTarget(item, frame));
      return (a, value) => {
        const items = unpack(value, writes.length);
        writes.forEach((write, index) => write(a, items[index]));
      };
    }
  }
}

function unpack(value: Value, count: number): readonly Value[] {
  if (value instanceof PyTuple && value.items.length === count) return value.items;
  if (value instanceof Undefined && value.strict) throw value.fail();
  if (!isIterable(value)) throw typeError(`cannot unpack non-iterable ${typeName(value)} object`);
  const items: Value[] = [];
  for (const item of iterable(value)) {
    items.push(item);
    if (items.length > count) throw valueError(`too many values to unpack (expected ${count})`);
  }
  if (items.length < count) throw valueError(`not enough values to unpack (expected ${count}, got ${items.length})`);
  return items;
}

/** What reads a target's names again. */
export function targetReader(target: Target, frame: Frame): Read {
  if (target.kind === 'tuple') {
    const reads = target.items.map((item) => targetReader(item, frame));
    return (a) => new PyTuple(reads.map((read) => read(a)));
  }
  return reader(frame, frame.symbols.ref(target.name, target.line));
}
