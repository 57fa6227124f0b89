import { mergeCheckpoint, type MergedDtype, type MergeResult } from '@glulam/export';
import { mergedCard, readBaseLicence } from '@glulam/trainer';
import {
  adapterList,
  callback,
  callTypes,
  checkOptions,
  checkSource,
  text,
  type OptionTypes,
} from '../../config/check-options.js';
import { openCall, type CallOptions } from '../../call.js';
import { openMergeSource } from './merge-source.js';
import type { AdapterChoices, ModelSource } from '../../models/open-model.js';

/** Options of `merge`. */
export interface MergeOptions extends CallOptions {
  /** The folder to write, which must not exist. */
  readonly out: string;
  /** Of all tensors; default: as the base stores each. */
  readonly dtype?: MergedDtype | undefined;
  /** Adapters in place of the source's own, summed by their weights. */
  readonly adapters?: AdapterChoices | undefined;
  /** Called for each finished file; `bytes` of it, and whether an earlier call had `kept` it. */
  readonly onShard?:
    ((shard: { readonly file: string; readonly bytes: number; readonly kept: boolean }) => void) | undefined;
}

const dtypes: readonly MergedDtype[] = ['float32', 'bfloat16', 'float16'];

const optionTypes: OptionTypes<MergeOptions> = {
  ...callTypes,
  out: text,
  dtype: {
    expected: dtypes.map((each) => `'${each}'`).join(' or '),
    fits: (value) => dtypes.some((each) => each === value),
  },
  adapters: adapterList,
  onShard: callback,
};

/**
 * Fold a model's adapters into a plain checkpoint with weights for every virtual layer: what `glulam merge` does.
 *
 * @returns where it is, with its layers, parameters and bytes
 * @throws ModelError OUTPUT_UNUSABLE, MERGE_IMPOSSIBLE, and what opening the source throws, each with a `code`; the
 *   signal's reason where it is aborted: the next call goes on from the files that are finished
 */
export async function merge(source: ModelSource, options: MergeOptions): Promise<MergeResult> {
  checkSource('merge', source);
  checkOptions('merge', options, optionTypes, { required: ['out'], example: "merge('runs/mine', { out: 'merged' })" });
  const { out, dtype, onShard } = options;
  const call = openCall(options);
  const { signal } = call;
  try {
    const opened = await openMergeSource(source, options, call);
    const { checkpoint, layers } = opened.source;
    const physicalLayers = checkpoint.spec.layers.length;
    const licence = readBaseLicence(checkpoint.folder);
    const card = mergedCard({ base: opened.base, licence, physicalLayers, layers, prompt: opened.prompt });
    return await mergeCheckpoint(opened.source, {
      out,
      dtype,
      chatTemplate: opened.chatTemplate,
      card,
      signal,
      onShard,
    });
  } finally {
    await call.end();
  }
}
