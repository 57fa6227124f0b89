/** Strings by their characters, for finding all of them that a text has at a place. */
interface Trie {
  /** Calls `take` with the end and value of every string that the text has at `start`, shortest first. */
  matches(text: string, start: number, take: (end: number, value: number) => void): void;
  /** The longest of them. */
  longest(text: string, start: number): { end: number; value: number } | undefined;
}

const NONE = -1;

/**
 * A trie of UTF-16 units, its edges in one hash table of whole numbers: vocabularies have hundreds of thousands of nodes.
 * Of equal strings the last counts.
 */
export function createTrie(entries: Iterable<readonly [string, number]>): Trie {
  let capacity = 1024;
  let nodesOf = new Int32Array(capacity).fill(NONE);
  let unitsOf = new Uint16Array(capacity);
  let childOf = new Int32Array(capacity);
  let nodes = 1;
  let values = new Int32Array(1024).fill(NONE);

  const slot = (node: number, unit: number): number => {
    let at = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & (capacity - 1);
    while (nodesOf[at] !== NONE && (nodesOf[at] !== node || unitsOf[at] !== unit)) at = (at + 1) & (capacity - 1);
    return at;
  };
  const grow = (): void => {
    const [oldNodes, oldUnits, oldChildren] = [nodesOf, unitsOf, childOf];
    capacity *= 2;
    nodesOf = new Int32Array(capacity).fill(NONE);
    unitsOf = new Uint16Array(capacity);
    childOf = new Int32Array(capacity);
    for (let old = 0; old < oldNodes.length; old++) {
      if (oldNodes[old] === NONE) continue;
      const at = slot(oldNodes[old]!, oldUnits[old]!);
      nodesOf[at] = oldNodes[old]!;
      unitsOf[at] = oldUnits[old]!;
      childOf[at] = oldChildren[old]!;
    }
  };
  for (const [text, value] of entries) {
    let node = 0;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      let at = slot(node, unit);
      if (nodesOf[at] === NONE) {
        if (nodes * 2 > capacity) {
          grow();
          at = slot(node, unit);
        }
        if (nodes === values.length) {
          const larger = new Int32Array(2 * nodes).fill(NONE);
          larger.set(values);
          values = larger;
        }
        nodesOf[at] = node;
        unitsOf[at] = unit;
        childOf[at] = nodes++;
      }
      node = childOf[at]!;
    }
    values[node] = value;
  }

  const matches: Trie['matches'] = (text, start, take) => {
    let node = 0;
    for (let index = start; index < text.length; index++) {
      const at = slot(node, text.charCodeAt(index));
      if (nodesOf[at] === NONE) return;
      node = childOf[at]!;
      if (values[node] !== NONE) take(index + 1, values[node]!);
    }
  };
  return {
    matches,
    longest(text, start) {
      let found: { end: number; value: number } | undefined;
      matches(text, start, (end, value) => (found = { end, value }));
      return found;
    },
  };
}
