import type { Operations, RandomKey, Tensor } from '@glulam/tensors';
import { shortLines } from '@glulam/files';
import { ModelError } from '../errors.js';

/** The steps of one forward pass between the embedding and the final norm, in order. */
export type Route = readonly RouteStep[];

/** One step of a route; the state is [tokens, hidden], float32. */
export type RouteStep =
  /** Run a virtual layer. Each visit has keys and values and draws of dropout of its own; adapters are the layer's. */
  | { readonly kind: 'visit'; readonly layer: number }
  /** Keep the state under a name, for mixes that follow. */
  | { readonly kind: 'keep'; readonly as: string }
  /** Change the state by a computation that is no layer's. */
  | { readonly kind: 'mix'; readonly mix: Mix }
  /** No gradient flows from here to earlier steps, except through states that were kept. */
  | { readonly kind: 'cut' };

/** A computation between visits, such as the injection of an earlier state or a damped update. */
export interface Mix {
  /** Its parameters are named below it: `injection.weight`. Mixes of one path share them. */
  readonly path: string;
  /** What of it is trained; default: nothing. */
  readonly parameters?: readonly MixParameter[];
  /** Kept states that it reads; default: none. */
  readonly reads?: readonly string[];
  /** From the state to the next one, both [tokens, hidden] in float32; synchronous. */
  run(x: Tensor, context: MixContext): Tensor;
}

/** One trained tensor of a mix. */
export interface MixParameter {
  /** Unique within the mix. */
  readonly name: string;
  /** Its dimensions. */
  readonly shape: readonly number[];
  /** The first values, row-major. */
  initial(key: RandomKey): Float32Array;
}

/** What a mix computes with. */
export interface MixContext {
  /** They record where the pass does. */
  readonly ops: Operations;
  /** The trained tensor with this name. */
  parameter(name: string): Tensor;
  /** The state that was kept under this name last, [tokens, hidden]. */
  kept(name: string): Tensor;
}

/** Each virtual layer once, in order. */
export const plainRoute = (layers: number): Route =>
  Array.from({ length: layers }, (_, layer) => ({ kind: 'visit', layer }));

/** Whether a route is `plainRoute`. */
export const isPlainRoute = (route: Route, layers: number): boolean =>
  route.length === layers && route.every((step, index) => step.kind === 'visit' && step.layer === index);

/** The virtual layer of each visit, in order. */
export const visitsOf = (route: Route): number[] =>
  route.flatMap((step) => (step.kind === 'visit' ? [step.layer] : []));

/** The mixes of a route, one of each path. */
export function mixesOf(route: Route): Mix[] {
  const mixes = new Map<string, Mix>();
  for (const step of route) if (step.kind === 'mix' && !mixes.has(step.mix.path)) mixes.set(step.mix.path, step.mix);
  return [...mixes.values()];
}

/** The name of a mix's parameter among all that are trained. */
export const mixParameterName = ({ path }: Mix, { name }: Pick<MixParameter, 'name'>): string => `${path}.${name}`;

/**
 * Check a route against the number of virtual layers that the model has.
 *
 * @param known mixes whose parameters there are; default: those of the route
 * @throws ModelError EXPANSION_INVALID with every fault
 */
export function checkRoute(route: Route, layers: number, known: readonly Mix[] = mixesOf(route)): Route {
  const faults: string[] = [];
  const kept = new Set<string>();
  const parametersOf = (mix: Mix): string => JSON.stringify(mix.parameters?.map(({ name, shape }) => [name, shape]));
  route.forEach((step, index) => {
    if (step.kind === 'keep') kept.add(step.as);
    if (step.kind === 'visit' && !(Number.isInteger(step.layer) && step.layer >= 0 && step.layer < layers))
      faults.push(`step ${index} visits virtual layer ${step.layer}; the model has layers 0 to ${layers - 1}`);
    if (step.kind !== 'mix') return;
    const { path, reads = [] } = step.mix;
    for (const name of reads.filter((name) => !kept.has(name)))
      faults.push(
        `step ${index}, the mix ${path}, reads the state "${name}"; kept before it: ${[...kept].join(', ') || 'none'}`,
      );
    const of = known.find((mix) => mix.path === path);
    if (of === undefined) faults.push(`step ${index} is the mix ${path}, which the model was not opened with`);
    else if (parametersOf(of) !== parametersOf(step.mix))
      faults.push(`step ${index}, the mix ${path}, has other parameters than the one of this path that the model has`);
  });
  if (visitsOf(route).length === 0) faults.push('the route visits no layer');
  if (faults.length === 0) return route;
  throw new ModelError('EXPANSION_INVALID', `the route cannot be run:\n  ${shortLines(faults)}`);
}

/** For each step, whether a gradient of the last state can reach what it computes; what it cannot reach need not be recorded. */
export function gradientReaches(route: Route): boolean[] {
  const reached = route.map(() => false);
  const read = new Set<string>();
  let isReached = true;
  for (let index = route.length - 1; index >= 0; index--) {
    const step = route[index]!;
    if (step.kind === 'keep') {
      // An earlier state of this name is another one.
      if (read.delete(step.as)) isReached = true;
    }
    reached[index] = isReached;
    if (step.kind === 'cut') isReached = false;
    if (step.kind === 'mix' && isReached) for (const name of step.mix.reads ?? []) read.add(name);
  }
  return reached;
}
