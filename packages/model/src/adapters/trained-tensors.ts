import { wholeShape, type Adapter, type CopyChoice, type LinearSite, type SiteAdapter } from './adapter.js';
import { baseTensors, type BaseTensor } from '../weights/base-tensors.js';
import { ModelError } from '../errors.js';
import { layerPath, type ModelSpec } from '../families/model-spec.js';
import { linearSites } from '../weights/linear-sites.js';
import { mixParameterName, type Mix } from '../expansion/route.js';
import type { VirtualLayer } from '../expansion/virtual-layer.js';

/** A site with what the adapter puts there. */
export interface AdaptedSite {
  /** The frozen linear layer. */
  readonly site: LinearSite;
  /** undefined: none. */
  readonly adapter: SiteAdapter | undefined;
}

/** A float32 copy of one of the base's tensors, which is trained in its stead. */
export interface TrainedCopy {
  /** That of the first place that it stands at, by PEFT's rules. */
  readonly name: string;
  /** Names of the other places in files, where several share it. */
  readonly aliases: readonly string[];
  /** The base's tensor that it begins as. */
  readonly source: string;
  /** That of the base's tensor. */
  readonly shape: readonly number[];
  /** The first values are the base's times this: its virtual layer's scale of the linear layer, or 0. */
  readonly startScale: number;
}

/** All that is trained of an expanded model. */
export interface TrainedTensors {
  /** Every frozen linear layer of every virtual layer, in order. */
  readonly adapted: readonly AdaptedSite[];
  readonly copies: readonly TrainedCopy[];
  /** The copy that stands at a place, by `BaseTensor.name`. */
  readonly copyAt: ReadonlyMap<string, TrainedCopy>;
  /** In files, by PEFT's names without its prefix: `model.layers.7.self_attn.q_proj.lora_A.weight`. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

/** The name of a virtual layer's learned gate, a tensor of shape [1]. */
export const gateName = (spec: ModelSpec, virtual: number): string => `${layerPath(spec, virtual)}.gate`;

/**
 * What is trained: adapters at the frozen linear layers, learned gates, copies of the base's tensors, which virtual
 * layers with `weights: 'own'` have of all their tensors and an adapter chooses of the others, and parameters of mixes.
 *
 * @throws ModelError ADAPTER_INVALID; BAD_ARGUMENT if a mix's parameter has the name of something else
 */
export function describeTrained(
  spec: ModelSpec,
  layers: readonly VirtualLayer[],
  adapter: Adapter | undefined,
  mixes: readonly Mix[] = [],
): TrainedTensors {
  const adapted = linearSites(spec, layers).map((site) => ({ site, adapter: adapter?.at(site) }));
  const adaptedPaths = new Set(adapted.flatMap(({ site, adapter: each }) => (each === undefined ? [] : [site.path])));
  const copies: (TrainedCopy & { aliases: string[] })[] = [];
  const copyAt = new Map<string, TrainedCopy>();
  const shared = new Map<string, (typeof copies)[number]>();
  const following: BaseTensor[] = [];
  // What begins apart is not shared.
  const keyOf = (place: BaseTensor): string => `${startScaleOf(place, layers)} ${place.source}`;
  for (const [place, choice] of choose(baseTensors(spec, layers), layers, adapter)) {
    const { name, source, kind, site } = place;
    if (kind === 'weight' && site !== undefined && adaptedPaths.has(site.path))
      throw new ModelError(
        'ADAPTER_INVALID',
        `${name} would be trained as a whole and by an adapter; leave it out of modules_to_save, or out of the adapter's targets`,
      );
    if (choice === 'follows') {
      following.push(place);
      continue;
    }
    const saved = savedName(place, adaptedPaths);
    const startScale = startScaleOf(place, layers);
    const key = keyOf(place);
    const known = choice === 'shared' ? shared.get(key) : undefined;
    if (known !== undefined) {
      known.aliases.push(saved);
      copyAt.set(name, known);
      continue;
    }
    const copy = { name: saved, aliases: [], source, shape: place.shape, startScale };
    copies.push(copy);
    copyAt.set(name, copy);
    if (choice === 'shared') shared.set(key, copy);
  }
  for (const place of following) {
    const { name, source } = place;
    const copy = shared.get(keyOf(place));
    if (copy !== undefined) copyAt.set(name, copy);
    else if (![...shared.values()].some((each) => each.source === source))
      throw new ModelError('BAD_ARGUMENT', `${name} is to follow a shared copy of ${source}, and no place shares one`);
  }
  const shapes = new Map<string, readonly number[]>([
    ...adapted.flatMap(({ site, adapter: each }) =>
      (each?.parameters ?? []).map((parameter) => [`${site.path}.${parameter.name}`, wholeShape(parameter)] as const),
    ),
    ...layers.flatMap(({ gate }, virtual) => (gate === undefined ? [] : [[gateName(spec, virtual), [1]] as const])),
    ...copies.map(({ name, shape }) => [name, shape] as const),
  ]);
  for (const mix of mixes)
    for (const parameter of mix.parameters ?? []) {
      const name = mixParameterName(mix, parameter);
      if (shapes.has(name))
        throw new ModelError(
          'BAD_ARGUMENT',
          `the mix ${mix.path} trains ${name}, which is something else's name already`,
        );
      shapes.set(name, parameter.shape);
    }
  return { adapted, copies, copyAt, shapes };
}

function startScaleOf({ virtual, site }: BaseTensor, layers: readonly VirtualLayer[]): number {
  if (site === undefined || virtual === undefined) return 1;
  const startsAtZero = layers[virtual]!.start === 'zero' && site.writesResidual;
  return startsAtZero ? 0 : (site.scale ?? 1);
}

function* choose(
  places: readonly BaseTensor[],
  layers: readonly VirtualLayer[],
  adapter: Adapter | undefined,
): Generator<readonly [BaseTensor, NonNullable<CopyChoice>]> {
  const isOwn = ({ virtual }: BaseTensor): boolean => virtual !== undefined && layers[virtual]!.weights === 'own';
  const rest = places.filter((place) => !isOwn(place));
  const choices = new Map(adapter?.copies?.(rest).map((choice, i) => [rest[i]!, choice]));
  for (const place of places) {
    const choice = isOwn(place) ? 'own' : choices.get(place);
    if (choice !== undefined) yield [place, choice];
  }
}

/** PEFT has a linear layer with an adapter twice over: its own tensors lie below `base_layer`. */
function savedName({ name, kind, site }: BaseTensor, adapted: ReadonlySet<string>): string {
  return site !== undefined && adapted.has(site.path) ? `${site.path}.base_layer.${kind}` : name;
}
