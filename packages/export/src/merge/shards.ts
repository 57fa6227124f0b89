import { bytesPerElement, sizeOf } from '@glulam/files';
import { storedDtype } from './encode-rows.js';
import type { MergedDtype } from './merged-config.js';
import type { MergedTensor } from './merged-model.js';

/** A file of the merged checkpoint and the tensors that go into it. */
export interface Shard {
  readonly file: string;
  readonly bytes: number;
  readonly tensors: readonly MergedTensor[];
}

const bytesOf = (tensor: MergedTensor, dtype: MergedDtype | undefined): number =>
  sizeOf(tensor.shape) * bytesPerElement[storedDtype(tensor, dtype)];

/** Tensors in order, as many a file as fit into `shardBytes`, under the names that transformers gives shards. */
export function planShards(
  tensors: readonly MergedTensor[],
  dtype: MergedDtype | undefined,
  shardBytes: number,
): readonly Shard[] {
  const groups: { bytes: number; tensors: MergedTensor[] }[] = [];
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor, dtype);
    const last = groups.at(-1);
    if (last !== undefined && last.bytes + bytes <= shardBytes) {
      last.tensors.push(tensor);
      last.bytes += bytes;
    } else groups.push({ bytes, tensors: [tensor] });
  }
  const digits = (count: number): string => String(count).padStart(5, '0');
  return groups.map((group, i) => ({
    ...group,
    file: groups.length === 1 ? 'model.safetensors' : `model-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`,
  }));
}

/** What `model.safetensors.index.json` holds; undefined where one file holds all. */
export function shardIndex(shards: readonly Shard[]): Record<string, unknown> | undefined {
  if (shards.length === 1) return undefined;
  const all = shards.flatMap(({ tensors }) => tensors);
  return {
    metadata: {
      total_parameters: all.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
      total_size: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    },
    weight_map: Object.fromEntries(shards.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file]))),
  };
}
