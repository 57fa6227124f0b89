import path from 'node:path';
import { ggufValue, type GgufValue } from '@glulam/files';
import type { MergedModel } from '../merge/merged-model.js';
import type { GgufType } from './gguf-tensors.js';

const { float32, string, uint32 } = ggufValue;

/** llama.cpp's numbers for what most of a file's tensors are (`llama_ftype`). */
const fileTypes: Readonly<Record<GgufType, number>> = { f32: 0, f16: 1, q8_0: 7, bf16: 32 };

/** What a GGUF file says of the model, the tokenizer apart: Mistral and Llama are one architecture to llama.cpp. */
export function modelMetadata({ base, layers }: MergedModel, type: GgufType): Map<string, GgufValue> {
  const { shape, folder } = base;
  const { rope } = shape;
  return new Map<string, GgufValue>([
    ['general.architecture', string('llama')],
    ['general.name', string(path.basename(path.resolve(folder)))],
    ['general.file_type', uint32(fileTypes[type])],
    ['general.quantization_version', uint32(2)],
    ['llama.block_count', uint32(layers.length)],
    ['llama.context_length', uint32(shape.maxPositions)],
    ['llama.embedding_length', uint32(shape.hiddenSize)],
    ['llama.feed_forward_length', uint32(shape.intermediateSize)],
    ['llama.attention.head_count', uint32(shape.heads)],
    ['llama.attention.head_count_kv', uint32(shape.keyValueHeads)],
    ['llama.attention.key_length', uint32(shape.headSize)],
    ['llama.attention.value_length', uint32(shape.headSize)],
    ['llama.attention.layer_norm_rms_epsilon', float32(shape.normEpsilon)],
    ['llama.rope.dimension_count', uint32(shape.headSize)],
    ['llama.rope.freq_base', float32(rope.theta)],
    ...(rope.type === 'linear'
      ? ([
          ['llama.rope.scaling.type', string('linear')],
          ['llama.rope.scaling.factor', float32(rope.factor)],
        ] as const)
      : []),
    ['llama.vocab_size', uint32(shape.vocabularySize)],
  ]);
}
