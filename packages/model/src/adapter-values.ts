import type { Adapter, LinearSite, SiteAdapter } from './adapter.js';
import { ModelError } from './errors.js';
import type { DecoderShape } from './family.js';
import type { VirtualLayer } from './virtual-layer.js';

/** Values of trained tensors by name, see `trainedTensors`. */
export type AdapterValues = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

/** A site with what the adapter puts there. */
export interface AdaptedSite {
  readonly site: LinearSite;
  readonly adapter: SiteAdapter | undefined;
}

export const adaptSites = (sites: readonly LinearSite[], adapter: Adapter | undefined): AdaptedSite[] =>
  sites.map((site) => ({ site, adapter: adapter?.at(site) }));

/** The name of a virtual layer's learned gate, a tensor of shape [1]. */
export const gateName = ({ names }: DecoderShape, virtual: number): string => `${names.layer(virtual)}.gate`;

/** The shapes of all that is trained, by PEFT's names without its prefix: `model.layers.7.self_attn.q_proj.lora_A.weight`. */
export function trainedTensors(
  shape: DecoderShape,
  layers: readonly VirtualLayer[],
  adapted: readonly AdaptedSite[],
): Map<string, readonly number[]> {
  return new Map<string, readonly number[]>([
    ...adapted.flatMap(({ site, adapter }) =>
      (adapter?.parameters ?? []).map(({ name, shape: size }) => [`${site.path}.${name}`, size] as const),
    ),
    ...layers.flatMap(({ gate }, virtual) => (gate === undefined ? [] : [[gateName(shape, virtual), [1]] as const])),
  ]);
}

/** Throws a ModelError ADAPTER_INVALID that names the tensors that are missing, too many, or of another shape. */
export function checkAdapterValues(values: AdapterValues, trained: ReadonlyMap<string, readonly number[]>): void {
  const faults: string[] = [];
  for (const [name, shape] of trained) {
    const given = values.get(name)?.shape;
    if (given === undefined) faults.push(`${name} is missing`);
    else if (given.join() !== shape.join())
      faults.push(`${name} has shape [${given.join(', ')}]; this model needs [${shape.join(', ')}]`);
  }
  for (const name of values.keys())
    if (!trained.has(name)) faults.push(`${name} belongs to no adapted layer of this model`);
  if (faults.length === 0) return;
  const more = faults.length > 8 ? `\n  and ${faults.length - 8} more` : '';
  throw new ModelError(
    'ADAPTER_INVALID',
    `the adapter is not for this base and expansion:\n  ${faults.slice(0, 8).join('\n  ')}${more}`,
  );
}
