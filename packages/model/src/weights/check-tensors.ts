import { FilesError, shortList } from '@glulam/files';
import { ModelError } from '../errors.js';
import type { CheckpointTensors } from './checkpoint-tensors.js';
import { missingAdvice, type AdviceContext } from './missing-advice.js';

/** What safetensors files call the types that are read; readers of quantized checkpoints have others. */
const readable: readonly string[] = ['F32', 'BF16', 'F16'];

/**
 * Check that the files have every expected tensor, in its shape and in a type that is read. `files` goes by the model's names.
 *
 * @throws ModelError CHECKPOINT_INVALID, QUANTIZED_UNSUPPORTED
 */
export function checkTensors(
  files: CheckpointTensors,
  expected: ReadonlyMap<string, readonly number[]>,
  context: AdviceContext,
): void {
  const missing: string[] = [];
  const faults: string[] = [];
  const byType = new Map<string, string[]>();
  for (const [name, size] of expected) {
    if (!files.has(name)) {
      missing.push(name);
      faults.push(`${name} is missing`);
      continue;
    }
    const { dtype, shape } = files.entry(name);
    if (shape.join() !== size.join())
      faults.push(`${name} has shape [${shape.join(', ')}]; config.json makes it [${size.join(', ')}]`);
    if (!isReadable(files, name)) byType.set(dtype, [...(byType.get(dtype) ?? []), name]);
  }
  for (const [dtype, names] of byType) throw wrongType(files.folder, dtype, names);
  if (faults.length === 0) return;
  const advice =
    missing.length === 0
      ? 'The weights and config.json are of different models or revisions: download both again.'
      : (missingAdvice(missing, context) ?? 'Download the checkpoint again, whole.');
  throw new ModelError(
    'CHECKPOINT_INVALID',
    `the weights in ${files.folder} do not fit its config.json:\n  ${faults.slice(0, 8).join('\n  ')}` +
      `${faults.length > 8 ? `\n  and ${faults.length - 8} more` : ''}\n${advice}`,
  );
}

function isReadable(files: CheckpointTensors, name: string): boolean {
  try {
    return files.source(name).dtype !== 'int32';
  } catch (error) {
    if (error instanceof FilesError && error.code === 'DTYPE_MISMATCH') return false;
    throw error;
  }
}

/** Of floats of 64 bits the checkpoint can be converted; smaller types mean little without what they were quantized by. */
function wrongType(folder: string, dtype: string, names: readonly string[]): ModelError {
  const found = `the weights in ${folder} are stored as ${dtype} (${shortList(names)}); expected ${readable.join(', ')}`;
  if (dtype === 'F64')
    return new ModelError(
      'CHECKPOINT_INVALID',
      `${found}. Convert them with transformers: AutoModelForCausalLM.from_pretrained("${folder}", dtype="float32").save_pretrained("converted")`,
    );
  return new ModelError(
    'QUANTIZED_UNSUPPORTED',
    `${found}: the checkpoint is quantized, though its config.json has no quantization_config. Use the checkpoint that was quantized`,
  );
}
