import { eventLoopTurns } from '@glulam/files';
import type { Engine } from '@glulam/tensors';
import { wholeShape, type Adapter } from './adapter.js';
import type { AdapterValues, TrainedValues } from './adapter-values.js';
import { createBaseWeights } from '../weights/base-weights.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { describeTrained } from './trained-tensors.js';
import { unexpandedLayers, type VirtualLayer } from '../expansion/virtual-layer.js';

/**
 * First values of adapters that must look into the base for them (PiSSA's), for `createDecoder`; empty for other
 * adapters. Each weight is looked into once, however many virtual layers share it.
 */
export async function readFirstValues({
  engine,
  checkpoint: { shape, files },
  layers = unexpandedLayers(shape.physicalLayers),
  adapter,
  signal,
}: {
  readonly engine: Engine;
  readonly checkpoint: Pick<Checkpoint, 'shape' | 'files'>;
  readonly layers?: readonly VirtualLayer[] | undefined;
  readonly adapter: Adapter | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}): Promise<AdapterValues> {
  const values = new Map<string, TrainedValues>();
  const weights = createBaseWeights(engine);
  const next = eventLoopTurns(signal);
  try {
    await next();
    for (const { site, adapter: each } of describeTrained(shape, layers, adapter).adapted) {
      if (each?.firstValues === undefined) continue;
      await next();
      const name = `${shape.names.layer(site.physical)}.${site.linear}.weight`;
      const first = await each.firstValues({ frozen: weights.rows.of(weights.open(files.source(name)), site.scale) });
      for (const parameter of each.parameters) {
        const given = first[parameter.name];
        if (given !== undefined)
          values.set(`${site.path}.${parameter.name}`, { shape: wholeShape(parameter), values: given });
      }
    }
  } finally {
    weights.close();
  }
  return values;
}
