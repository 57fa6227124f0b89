import { writeFileAtomic } from './atomic-file.js';
import { toBfloat16Bits, toFloat16Bits } from './dtype.js';
import { TensorsError } from './errors.js';
import { sizeOf } from './tensor.js';

/** One tensor to write; float16 and bfloat16 are rounded from the float32 values, to nearest even. */
export interface SafetensorsInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'bfloat16' | 'float16';
  /** Values now, or made when their turn comes. */
  readonly values: Float32Array | (() => Float32Array | Promise<Float32Array>);
}

const fileName = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const;

/** Write a safetensors file atomically, tensor by tensor, ordered as the reference implementation orders them. */
export async function writeSafetensors(
  file: string,
  inputs: readonly SafetensorsInput[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Promise<void> {
  const bytes = ({ dtype }: SafetensorsInput): number => (dtype === 'float32' ? 4 : 2);
  const ordered = [...inputs].sort((a, b) => bytes(b) - bytes(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const input of ordered) {
    if (Object.hasOwn(header, input.name))
      throw new TensorsError('BAD_ARGUMENT', `${file}: tensor ${input.name} is given twice`);
    const end = offset + sizeOf(input.shape) * bytes(input);
    header[input.name] = { dtype: fileName[input.dtype], shape: input.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padding = (8 - (text.length % 8)) % 8;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length + padding));

  await writeFileAtomic(file, async (handle) => {
    await handle.write(Buffer.concat([prefix, text, Buffer.alloc(padding, ' ')]));
    for (const input of ordered) {
      const values = typeof input.values === 'function' ? await input.values() : input.values;
      if (values.length !== sizeOf(input.shape)) {
        throw new TensorsError(
          'SHAPE_MISMATCH',
          `tensor ${input.name} has ${values.length} values, its shape [${input.shape.join(', ')}] wants ${sizeOf(input.shape)}`,
        );
      }
      const data = encode(values, input.dtype);
      for (let done = 0; done < data.length;) done += (await handle.write(data, done)).bytesWritten;
    }
  });
}

function encode(values: Float32Array, dtype: SafetensorsInput['dtype']): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const narrow = dtype === 'bfloat16' ? toBfloat16Bits : toFloat16Bits;
  return new Uint8Array(Uint16Array.from(values, narrow).buffer);
}
