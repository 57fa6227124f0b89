import { ModelError } from '../errors.js';
import type { MergedModel } from './merged-model.js';

/** Types in which merged weights can be stored; undefined, where one is asked for: each tensor's own in the base. */
export type MergedDtype = 'float32' | 'bfloat16' | 'float16';

/**
 * The fields of the merged model's `config.json`: the base's with as many layers as there are virtual ones. A list with an
 * entry a layer (`layer_types`) gets one a virtual layer, and one is made where only some layers have a window: fields that
 * say which (`max_window_layers`) count the base's layers.
 */
export function mergedConfig(
  { base: { config, shape }, layers, tiedHead }: Pick<MergedModel, 'base' | 'layers' | 'tiedHead'>,
  dtype: MergedDtype | undefined,
): Record<string, unknown> {
  const { slidingWindow } = shape;
  const types =
    config.fields['layer_types'] ??
    (typeof slidingWindow === 'number'
      ? undefined
      : slidingWindow.map((window) => (window > 0 ? 'sliding_attention' : 'full_attention')));
  const hasTypes = types !== undefined;
  if (hasTypes && (!Array.isArray(types) || types.length !== shape.physicalLayers)) {
    throw new ModelError(
      'CONFIG_INVALID',
      `${config.file} has layer_types ${JSON.stringify(types)}; expected a list of ${shape.physicalLayers}, one a layer`,
    );
  }
  // Today's files say dtype, published ones torch_dtype, and some both.
  const dtypeFields = ['dtype', 'torch_dtype'].filter((field) => config.fields[field] !== undefined);
  const stored = (dtypeFields.length === 0 ? ['dtype'] : dtypeFields).map((field) => [field, dtype]);
  return {
    ...config.fields,
    num_hidden_layers: layers.length,
    tie_word_embeddings: tiedHead,
    ...(hasTypes ? { layer_types: layers.map(({ physical }) => (types as unknown[])[physical]) } : {}),
    ...(dtype === undefined ? {} : (Object.fromEntries(stored) as Record<string, unknown>)),
  };
}
