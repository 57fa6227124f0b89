/** What an event of TensorBoard holds, as far as we write it. */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly content:
    | { readonly fileVersion: string }
    /** Tag to value. */
    | { readonly scalars: Readonly<Record<string, number>> }
    /** A sitting begins: what was told of this step and later ones, in earlier files, does not count any more. */
    | 'session start';
}

/**
 * The bytes of a `tensorflow.Event`. Field numbers are those of event.proto (in tensorflow/core/util) and summary.proto
 * (tensorflow/core/framework); the encoding is https://protobuf.dev/programming-guides/encoding.
 */
export function encodeEvent({ wallTime, step, content }: TensorBoardEvent): Buffer {
  return Buffer.concat([double(1, wallTime), integer(2, step), encodeContent(content)]);
}

function encodeContent(content: TensorBoardEvent['content']): Buffer {
  // SessionLog { status = START }
  if (content === 'session start') return bytes(7, integer(1, 1));
  if ('fileVersion' in content) return bytes(3, Buffer.from(content.fileVersion));
  // Summary { repeated Value { tag, simple_value } }
  const values = Object.entries(content.scalars).map(([tag, value]) =>
    bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])),
  );
  return bytes(5, Buffer.concat(values));
}

/** Seven bits a byte, lowest first; by division, as steps may pass 32 bits. */
function varint(value: number): Buffer {
  const groups: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) groups.push((rest % 0x80) | 0x80);
  return Buffer.from([...groups, rest]);
}

const key = (field: number, wireType: 0 | 1 | 2 | 5): Buffer => varint(field * 8 + wireType);
const integer = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);
/** A text, or a message within a message. */
const bytes = (field: number, content: Buffer): Buffer =>
  Buffer.concat([key(field, 2), varint(content.length), content]);

function double(field: number, value: number): Buffer {
  const content = Buffer.alloc(8);
  content.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), content]);
}

function float(field: number, value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeFloatLE(value);
  return Buffer.concat([key(field, 5), content]);
}
