import type { Engine } from '../contract/engine.js';
import { TensorsError } from '../errors.js';
import { pace } from './pace.js';
import { detach, scope, type Tensor } from '../contract/tensor.js';

/** Gradients of a node's inputs by position; undefined where none was asked for. */
export type InputGradients = readonly (Tensor | undefined)[];

interface Node {
  readonly output: Tensor;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly saved: readonly Tensor[];
  /** Those of them that the node keeps alive. */
  readonly held: readonly Tensor[];
  /** See `Tape.record`. */
  readonly backward: Backward;
}

/** A tensor that is computed again when a backward reads it, from sources that are held instead. */
interface Derived {
  readonly derived: Tensor;
  readonly sources: readonly Tensor[];
  readonly held: readonly Tensor[];
  readonly compute: (sources: readonly Tensor[]) => Tensor;
  again?: Tensor;
}

/**
 * Is called with the output's gradient (float32), tells by `needs[i]` whose gradient is wanted, and gives what was saved,
 * in its order.
 */
type Backward = (gradient: Tensor, needs: readonly boolean[], saved: readonly Tensor[]) => InputGradients;

/**
 * What a forward pass leaves for its backward: nodes in the order they were computed, each holding the tensors that its
 * gradient reads. One tape serves one pass; `backward` frees what it held.
 */
export interface Tape {
  /** Make a tensor a leaf: its gradient is among the results. */
  watch(leaf: Tensor): void;
  /**
   * Say that the pass uses a watched leaf where nothing is recorded, since no gradient is wanted there. If none comes from
   * elsewhere either, its gradient is zeros and not absent: an optimizer updates its moments and decays it.
   */
  touch(leaf: Tensor): void;
  /** Whether a gradient flows through this tensor. */
  tracks(tensor: Tensor | undefined): boolean;
  /**
   * Note an operation if any of its inputs is tracked. Its backward reads tensors as it is given them, not from around
   * it: one that was derived may be freed in between.
   */
  record(output: Tensor, inputs: readonly (Tensor | undefined)[], saved: readonly Tensor[], backward: Backward): void;
  /**
   * Say that the output of the operation just noted is cheap to compute again: nodes that save it do not keep it alive,
   * `sources` are held instead.
   */
  derive(output: Tensor, sources: readonly Tensor[], compute: Derived['compute']): void;
  /** Hold constants that a node's backward reads until the tape is done. */
  keep(...tensors: readonly Tensor[]): void;
  /** A place between parts of the model where backward lets the engine catch up. */
  mark(): void;
  /**
   * Gradients of `output` for the watched leaves it depends on, float32, held by the caller. Starts from `seed`, or 1
   * for a scalar. Waits for the engine at each mark.
   */
  backward(output: Tensor, seed?: Tensor): Promise<Map<Tensor, Tensor>>;
  /** The same within one synchronous scope, for recomputed parts. */
  backwardNow(output: Tensor, seed: Tensor): Map<Tensor, Tensor>;
  /** Free what is held without going backward. */
  discard(): void;
}

/** A tape for one pass on this engine. Pass it to `Operations.recording`. */
export function createTape(engine: Engine): Tape {
  const leaves = new Set<Tensor>();
  const touched = new Set<Tensor>();
  const tracked = new Set<Tensor>();
  const derived = new Map<Tensor, Derived>();
  let steps: (Node | Derived | 'mark')[] = [];
  let kept: Tensor[] = [];

  /** The map holds each gradient once for itself; the scope it was made in gives up its own hold. */
  const add = (gradients: Map<Tensor, Tensor>, input: Tensor, gradient: Tensor): void => {
    const sum = gradients.get(input);
    gradients.set(input, (sum === undefined ? gradient : engine.binary('add', sum, gradient)).retain());
    sum?.release();
  };

  const hold = (tensors: readonly Tensor[]): Tensor[] =>
    tensors.filter((tensor) => !derived.has(tensor)).map((tensor) => tensor.retain());
  /** The tensor itself, or computed again; that is kept until the step that first computed it. */
  const alive = (tensor: Tensor): Tensor => {
    const way = derived.get(tensor);
    if (way === undefined) return tensor;
    way.again ??= detach(way.compute(way.sources.map(alive)));
    return way.again;
  };
  const release = (step: Node | Derived): void => {
    for (const tensor of step.held) tensor.release();
    if (!('derived' in step)) return;
    step.again?.release();
    derived.delete(step.derived);
  };

  /** Take the last step off the tape and pass its output's gradient on to its inputs. */
  const stepBack = (gradients: Map<Tensor, Tensor>): void => {
    const step = steps.pop();
    if (step === undefined || step === 'mark') return;
    const gradient = 'output' in step ? gradients.get(step.output) : undefined;
    if ('output' in step && gradient !== undefined) {
      scope(() => {
        const needs = step.inputs.map((input) => input !== undefined && (leaves.has(input) || tracked.has(input)));
        const results = step.backward(gradient, needs, step.saved.map(alive));
        step.inputs.forEach((input, i) => {
          const result = results[i];
          if (input !== undefined && result !== undefined && needs[i]) add(gradients, input, result);
        });
      });
      gradients.delete(step.output);
      gradient.release();
    }
    release(step);
  };

  const releaseAll = (): void => {
    for (const tensor of kept) tensor.release();
    kept = [];
    tracked.clear();
  };

  const start = (output: Tensor, seed: Tensor | undefined): Map<Tensor, Tensor> => {
    if (!tracked.has(output)) {
      throw new TensorsError(
        'NOT_DIFFERENTIABLE',
        'backward was asked for a tensor that depends on no watched tensor; watch the parameters before the forward pass',
      );
    }
    if (seed === undefined && output.size !== 1) {
      throw new TensorsError(
        'SHAPE_MISMATCH',
        `backward without a seed wants a scalar, got shape [${output.shape.join(', ')}]; sum the tensor first`,
      );
    }
    return new Map([[output, seed?.retain() ?? detach(engine.full(output.shape, 1))]]);
  };

  const finish = (gradients: Map<Tensor, Tensor>): Map<Tensor, Tensor> => {
    for (const [tensor, gradient] of gradients) {
      if (leaves.has(tensor)) continue;
      gradient.release();
      gradients.delete(tensor);
    }
    for (const leaf of touched) if (!gradients.has(leaf)) gradients.set(leaf, detach(engine.full(leaf.shape, 0)));
    releaseAll();
    return gradients;
  };

  const discard = (): void => {
    for (const step of steps) if (step !== 'mark') release(step);
    steps = [];
    releaseAll();
  };
  const giveUp = (gradients: ReadonlyMap<Tensor, Tensor>): void => {
    for (const gradient of gradients.values()) gradient.release();
    discard();
  };

  return {
    watch: (leaf) => void leaves.add(leaf),
    touch: (leaf) => void (leaves.has(leaf) && touched.add(leaf)),
    tracks: (tensor) => tensor !== undefined && (leaves.has(tensor) || tracked.has(tensor)),
    record(output, inputs, saved, backward) {
      if (!inputs.some((input) => input !== undefined && (leaves.has(input) || tracked.has(input)))) return;
      tracked.add(output);
      steps.push({ output, inputs, saved, held: hold(saved), backward });
    },
    derive(output, sources, compute) {
      const way: Derived = { derived: output, sources, held: hold(sources), compute };
      derived.set(output, way);
      steps.push(way);
    },
    keep(...tensors) {
      for (const tensor of tensors) kept.push(tensor.retain());
    },
    mark: () => void steps.push('mark'),
    async backward(output, seed) {
      const gradients = start(output, seed);
      const layers = pace(engine);
      try {
        while (steps.length > 0) {
          const atMark = steps.at(-1) === 'mark';
          stepBack(gradients);
          if (atMark) await layers.next();
        }
        await layers.end();
        return finish(gradients);
      } catch (error) {
        giveUp(gradients);
        throw error;
      }
    },
    backwardNow(output, seed) {
      const gradients = start(output, seed);
      try {
        while (steps.length > 0) stepBack(gradients);
        return finish(gradients);
      } catch (error) {
        giveUp(gradients);
        throw error;
      }
    },
    discard,
  };
}
