import { eventLoopTurns } from '@glulam/files';
import type { Engine } from '@glulam/tensors';
import { wholeShape, type Adapter } from './adapter.js';
import type { AdapterValues, TrainedValues } from './adapter-values.js';
import { createBaseWeights, type BaseWeights } from '../weights/base-weights.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { describeTrained } from './trained-tensors.js';
import { weightOfSite } from '../weights/linear-sites.js';
import { unexpandedLayers, type VirtualLayer } from '../expansion/virtual-layer.js';

/**
 * First values of adapters that must look into the base for them (PiSSA's), for `openDecoder`; empty for other
 * adapters. Each weight is looked into once, however many virtual layers share it.
 */
export async function readFirstValues({
  engine,
  checkpoint: { spec, files },
  layers = unexpandedLayers(spec.layers.length),
  adapter,
  weights: given,
  signal,
}: {
  readonly engine: Engine;
  readonly checkpoint: Pick<Checkpoint, 'spec' | 'files'>;
  readonly layers?: readonly VirtualLayer[] | undefined;
  readonly adapter: Adapter | undefined;
  /** The base's, if they are open already; default: opened for this. */
  readonly weights?: BaseWeights | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}): Promise<AdapterValues> {
  const values = new Map<string, TrainedValues>();
  const weights = given ?? createBaseWeights(engine);
  const next = eventLoopTurns(signal);
  try {
    await next();
    for (const { site, adapter: each } of describeTrained(spec, layers, adapter).adapted) {
      if (each?.firstValues === undefined) continue;
      await next();
      const name = weightOfSite(spec, site);
      await weights.open(files.source(name));
      const first = await each.firstValues({ frozen: weights.rows.of(weights.get(name), site.scale) });
      for (const parameter of each.parameters) {
        const value = first[parameter.name];
        if (value !== undefined)
          values.set(`${site.path}.${parameter.name}`, { shape: wholeShape(parameter), values: value });
      }
    }
  } finally {
    if (given === undefined) weights.close();
  }
  return values;
}
