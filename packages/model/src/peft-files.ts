import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openSafetensors, readFloats, writeFolderAtomic, writeSafetensors } from '@glulam/tensors';
import { writeFile } from 'node:fs/promises';
import type { Adapter, AdapterContribution } from './adapter.js';
import type { AdapterValues, Decoder } from './decoder.js';
import { ModelError } from './errors.js';
import { layerMap, type VirtualLayer } from './virtual-layer.js';

const prefix = 'base_model.model.';

/** A PEFT adapter as read: the adapter, the virtual layers it was trained on, and its tensors by name. */
export interface PeftAdapter {
  readonly adapter: Adapter;
  /** undefined: the base as it is. */
  readonly layers: readonly VirtualLayer[] | undefined;
  readonly values: AdapterValues;
}

/** Read `adapter_config.json` and `adapter_model.safetensors`. */
export function readPeftAdapter(folder: string, kinds: readonly AdapterContribution[]): PeftAdapter {
  const file = path.join(folder, 'adapter_config.json');
  if (!existsSync(file)) {
    throw new ModelError(
      'ADAPTER_INVALID',
      `${folder} has no adapter_config.json; expected the folder of a PEFT adapter`,
    );
  }
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new ModelError('ADAPTER_INVALID', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const adapter = kinds
    .map((kind) => ({ kind, options: kind.fromPeft(config) }))
    .find(({ options }) => options !== undefined);
  if (adapter === undefined) {
    const says = `peft_type ${JSON.stringify(config['peft_type'])}${config['use_dora'] === true ? ' with use_dora' : ''}`;
    throw new ModelError(
      'ADAPTER_INVALID',
      `${file} says ${says}; installed adapters: ${kinds.map(({ kind }) => kind).join(', ') || 'none'}`,
    );
  }
  const weights = path.join(folder, 'adapter_model.safetensors');
  if (!existsSync(weights)) {
    throw new ModelError(
      'ADAPTER_INVALID',
      `${folder} has no adapter_model.safetensors; adapters in pickle files (.bin) are not read: save it with safe_serialization`,
    );
  }
  const tensors = openSafetensors(weights);
  const values = new Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>();
  for (const name of tensors.names()) {
    if (!name.startsWith(prefix))
      throw new ModelError('ADAPTER_INVALID', `${weights} has the tensor ${name}; PEFT's names begin with ${prefix}`);
    const source = tensors.source(name);
    values.set(name.slice(prefix.length), { shape: source.shape, values: readFloats(source) });
  }
  return {
    adapter: adapter.kind.create(adapter.options),
    layers: readReplication(config['layer_replication'], file),
    values,
  };
}

function readReplication(value: unknown, file: string): readonly VirtualLayer[] | undefined {
  if (value === undefined || value === null) return undefined;
  const intervals = Array.isArray(value) ? (value as unknown[]) : [undefined];
  return intervals.flatMap((interval) => {
    const [start, end] = Array.isArray(interval) ? (interval as unknown[]) : [];
    if (!Number.isInteger(start) || !Number.isInteger(end) || (start as number) >= (end as number)) {
      throw new ModelError(
        'ADAPTER_INVALID',
        `${file} has layer_replication ${JSON.stringify(value)}; expected a list of [start, end] with start < end`,
      );
    }
    return Array.from({ length: (end as number) - (start as number) }, (_, i) => ({ physical: (start as number) + i }));
  });
}

/** Write a decoder's adapter as PEFT reads it; replaces an adapter that is there whole, or leaves it whole. */
export async function writePeftAdapter(decoder: Decoder, folder: string, baseName: string): Promise<void> {
  const { adapter, layers, shape, engine } = decoder;
  if (adapter === undefined) throw new ModelError('ADAPTER_INVALID', 'the model has no adapter to save');
  layers.forEach(({ weights, residualScale, gate }, index) => {
    const field =
      weights === 'own'
        ? 'weights'
        : residualScale !== undefined
          ? 'residualScale'
          : gate !== undefined
            ? 'gate'
            : undefined;
    if (field !== undefined)
      throw new ModelError(
        'ADAPTER_NOT_PEFT',
        `virtual layer ${index} has ${field}, which PEFT's files cannot say; use the compact form or merge`,
      );
  });
  const plain = layers.length === shape.physicalLayers && layers.every(({ physical }, index) => physical === index);
  const config = {
    ...adapter.peftConfig(),
    base_model_name_or_path: baseName,
    inference_mode: true,
    layer_replication: plain ? null : layerMap(layers),
  };
  await writeFolderAtomic(folder, async (temporary) => {
    await writeFile(path.join(temporary, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`);
    await writeSafetensors(
      path.join(temporary, 'adapter_model.safetensors'),
      [...decoder.parameters].map(([name, tensor]) => ({
        name: prefix + name,
        shape: tensor.shape,
        dtype: 'float32' as const,
        values: async () => (await engine.read(tensor)) as Float32Array,
      })),
    );
  });
}
