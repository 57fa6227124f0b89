import type { Tensor } from '@glulam/tensors';

/** Elements that are computed together: so many that calls cost nothing beside the arithmetic, and scratch stays small. */
const mostElements = 2 ** 20;

/**
 * Items whose tensors can lie on one another along the first axis, in their order, by runs of at most `mostElements`: a
 * model has hundreds of small trainable tensors, and a call costs its time.
 *
 * @param kindOf what items of one stack have in common beside the shape
 */
export function stacks<Item>(
  items: readonly Item[],
  tensorOf: (item: Item) => Tensor,
  kindOf: (item: Item) => string = () => '',
): readonly (readonly Item[])[] {
  const open = new Map<string, { items: Item[]; elements: number }>();
  const all: Item[][] = [];
  for (const item of items) {
    const { shape, size } = tensorOf(item);
    const key = `${shape.length} ${shape.slice(1).join()} ${kindOf(item)}`;
    const stack = open.get(key);
    if (stack !== undefined && shape.length > 0 && stack.elements + size <= mostElements) {
      stack.items.push(item);
      stack.elements += size;
      continue;
    }
    const begun = { items: [item], elements: size };
    open.set(key, begun);
    all.push(begun.items);
  }
  return all;
}
