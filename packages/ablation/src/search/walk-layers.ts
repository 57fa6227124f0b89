/** A sequence of layers that several maps begin with. */
interface Node {
  /** The last of its layers; of the root -1. */
  readonly layer: number;
  /** Sequences that end here, by index. */
  readonly ends: number[];
  readonly children: Node[];
  /** States that are held at once where everything below is computed once. */
  states: number;
}

/** What is done with a state on the way; states are `walkLayers`' own until it releases them. */
interface LayerWork<State> {
  /** The state before the first layer: cheap, and so never kept. */
  begin(): State;
  /** The state behind one more layer; the one before it stays. */
  run(state: State, layer: number): Promise<State>;
  finish(state: State, sequence: number): Promise<void>;
  release(state: State): void;
}

/**
 * Run sequences of layers, the beginnings that they share once. At most `most` states are held besides the one that a
 * layer is just making: the one that is worked on, and those where sequences part. Where there is no room to keep one of
 * the latter, it is computed again from the last that was kept, which is never more work than running every sequence.
 */
export async function walkLayers<State>(
  sequences: readonly (readonly number[])[],
  most: number,
  work: LayerWork<State>,
): Promise<void> {
  const held = new Set<State>();
  const hold = (state: State): State => {
    held.add(state);
    return state;
  };
  const release = (state: State): void => {
    held.delete(state);
    work.release(state);
  };
  const root = sharedBeginnings(sequences);
  const path: number[] = [];
  const kept: { readonly depth: number; readonly state: State }[] = [];

  const runAgain = async (): Promise<State> => {
    const from = kept.at(-1);
    let state = from?.state ?? hold(work.begin());
    for (const layer of path.slice(from?.depth ?? 0)) {
      const next = hold(await work.run(state, layer));
      if (state !== from?.state) release(state);
      state = next;
    }
    return state;
  };

  const visit = async (node: Node, given: State): Promise<void> => {
    for (const sequence of node.ends) await work.finish(given, sequence);
    let state: State | undefined = given;
    for (const [index, child] of node.children.entries()) {
      const isLast = index === node.children.length - 1;
      const keep = !isLast && node !== root && kept.length + 2 <= most;
      state ??= await runAgain();
      const next = hold(await work.run(state, child.layer));
      if (keep) kept.push({ depth: path.length, state });
      else {
        release(state);
        state = undefined;
      }
      path.push(child.layer);
      await visit(child, next);
      path.pop();
      if (keep) kept.pop();
    }
    if (state !== undefined) release(state);
  };

  try {
    await visit(root, hold(work.begin()));
  } finally {
    for (const state of [...held]) release(state);
  }
}

/** A tree of the sequences. Children that need more states come later: behind the last one nothing is kept for others. */
function sharedBeginnings(sequences: readonly (readonly number[])[]): Node {
  const root: Node = { layer: -1, ends: [], children: [], states: 1 };
  const nodes = [root];
  for (const [sequence, layers] of sequences.entries()) {
    let node = root;
    for (const layer of layers) {
      let child = node.children.find((each) => each.layer === layer);
      if (child === undefined) {
        child = { layer, ends: [], children: [], states: 1 };
        node.children.push(child);
        nodes.push(child);
      }
      node = child;
    }
    node.ends.push(sequence);
  }
  // Children were made after their parents.
  for (const node of nodes.toReversed()) {
    node.children.sort((a, b) => a.states - b.states);
    const last = node.children.length - 1;
    node.states = Math.max(1, ...node.children.map(({ states }, index) => states + (index < last ? 1 : 0)));
  }
  return root;
}
