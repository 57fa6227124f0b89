import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { afterAll, describe, expect, test } from 'vitest';
import { duplicateKey } from './duplicate-key.js';
import { readSafetensorsHeader } from './safetensors-header.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-header-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

function fileWith(bytes: Uint8Array | string): string {
  const file = path.join(folder, `${count++}.safetensors`);
  writeFileSync(file, bytes);
  return file;
}

/** A file with this header and so many bytes of data. */
function withHeader(header: unknown, dataBytes = 0): string {
  const text = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return fileWith(Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
}

const entry = (dtype: unknown, shape: unknown, ...range: unknown[]) => ({ dtype, shape, data_offsets: range });

function faultOf(file: string): FilesError {
  try {
    readSafetensorsHeader(file);
  } catch (error) {
    if (error instanceof FilesError) return error;
    throw error;
  }
  throw new Error('expected an error');
}

test('a whole header: ranges from the start of the file, metadata, types that are no weights', () => {
  const header = {
    __metadata__: { format: 'pt' },
    b: entry('BF16', [2, 3], 8, 20),
    a: entry('I64', [1], 0, 8),
    none: entry('F32', [0, 4], 20, 20),
    scalar: entry('F32', [], 20, 24),
    half: entry('F4', [3, 2], 24, 27),
    ['__proto__']: entry('BOOL', [2], 27, 29),
  };
  const file = withHeader(header, 29);
  const { tensors, dataOffset, fileSize, metadata } = readSafetensorsHeader(file);
  expect(metadata).toEqual({ format: 'pt' });
  expect(fileSize).toBe(dataOffset + 29);
  expect([...tensors.keys()].sort()).toEqual(['__proto__', 'a', 'b', 'half', 'none', 'scalar']);
  expect(tensors.get('b')).toEqual({
    name: 'b',
    dtype: 'BF16',
    shape: [2, 3],
    file,
    byteOffset: dataOffset + 8,
    byteLength: 12,
  });
  expect(tensors.get('a')).toMatchObject({ dtype: 'I64', byteOffset: dataOffset, byteLength: 8 });
  expect(tensors.get('none')).toMatchObject({ byteOffset: dataOffset + 20, byteLength: 0 });
  expect(readSafetensorsHeader(withHeader('{}      ')).tensors.size).toBe(0);
});

test('only the header is read: a file of 1 TB opens at once', () => {
  const bytes = 2 ** 40;
  const file = withHeader({ a: entry('U8', [bytes], 0, bytes) });
  truncateSync(file, readSize(file) + bytes);
  expect(readSafetensorsHeader(file).tensors.get('a')).toMatchObject({ byteLength: bytes });
});

function readSize(file: string): number {
  return (
    Number(/the file has only 0; the header promises a file of (\d+) bytes/.exec(faultOf(file).message)![1]) - 2 ** 40
  );
}

describe('SAFETENSORS_INVALID', () => {
  const prefixed = (length: bigint, more = 0): Buffer => {
    const bytes = Buffer.alloc(8 + more);
    bytes.writeBigUInt64LE(length);
    return bytes;
  };
  const one = (description: unknown, dataBytes = 4) => withHeader({ w: description }, dataBytes);
  const cases: [what: string, make: () => string, message: RegExp][] = [
    [
      'an empty file',
      () => fileWith(''),
      /it has 0 bytes, too few for a header; expected a safetensors file: download it again/,
    ],
    ['7 bytes', () => fileWith('1234567'), /it has 7 bytes, too few/],
    [
      'a header over the limit',
      () => fileWith(prefixed(100_000_001n)),
      /a header of 100000001 bytes, more than the 25000000 that Glulam reads/,
    ],
    ['a header of 2^64 - 1', () => fileWith(prefixed(2n ** 64n - 1n, 8)), /a header of 18446744073709551615 bytes/],
    [
      'a header that is cut',
      () => fileWith(prefixed(100n, 50)),
      /a header of 100 bytes, the file has 58: it was cut short/,
    ],
    [
      'a Git LFS pointer',
      () => fileWith('version https://git-lfs.github.com/spec/v1\noid'),
      /Git LFS pointer.*run "git lfs pull"/,
    ],
    ['no UTF-8', () => withHeader(Buffer.from([0x7b, 0xff, 0x7d])), /its header is not UTF-8 text/],
    ['a byte order mark', () => withHeader('\ufeff{}'), /its header is not JSON/],
    ['an empty header', () => withHeader(''), /its header is not JSON/],
    ['no JSON', () => withHeader('{"a":'), /its header is not JSON \(.*\); download or write the file again/],
    ['an array', () => withHeader([]), /its header is not a JSON object/],
    ['null', () => withHeader('null'), /its header is not a JSON object/],
    [
      'a tensor twice',
      () => withHeader('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'),
      /the key "a" twice/,
    ],
    [
      'a field twice',
      () => withHeader('{"a":{"dtype":"F32","dtype":"F16","shape":[0],"data_offsets":[0,0]}}'),
      /the key "dtype" twice/,
    ],
    [
      'metadata of numbers',
      () => withHeader({ __metadata__: { a: 1 } }),
      /__metadata__ is an object with the keys \["a"\], expected an object whose values are strings/,
    ],
    ['metadata that is a list', () => withHeader({ __metadata__: ['a'] }), /__metadata__ is \["a"\], expected/],
    ['a tensor that is a number', () => one(7), /tensor w is described by 7, expected an object/],
    [
      'no dtype',
      () => one({ shape: [1], data_offsets: [0, 4] }),
      /tensor w has dtype undefined, expected one of U64, .*BOOL/,
    ],
    ['a dtype that is a list', () => one(entry(['F32'], [1], 0, 4)), /tensor w has dtype \["F32"\]/],
    [
      'a dtype of no file',
      () => one(entry('constructor', [1], 0, 4)),
      /tensor w has dtype "constructor", expected one of/,
    ],
    [
      'no shape',
      () => one({ dtype: 'F32', data_offsets: [0, 4] }),
      /tensor w has shape undefined, expected an array of whole numbers from 0/,
    ],
    ['a shape of halves', () => one(entry('F32', [0.5, 2], 0, 4)), /tensor w has shape \[0\.5,2\]/],
    ['a negative shape', () => one(entry('F32', [-1, -1], 0, 4)), /tensor w has shape \[-1,-1\]/],
    ['a shape of strings', () => one(entry('F32', ['1'], 0, 4)), /tensor w has shape \["1"\]/],
    [
      'a shape beyond whole numbers',
      () => one(entry('F32', [2 ** 53], 0, 4)),
      /tensor w has shape \[9007199254740992\]/,
    ],
    [
      'a minus zero',
      () => withHeader('{"w":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
      /tensor w has shape \[0\], expected/,
    ],
    [
      'a shape that overflows',
      () => one(entry('F32', [2 ** 40, 2 ** 40], 0, 4)),
      /which needs more bytes than a file can hold/,
    ],
    [
      'a shape that overflows to 0',
      () => one(entry('F32', [2 ** 40, 2 ** 40, 0], 0, 0), 0),
      /which needs more bytes than a file can hold/,
    ],
    [
      'no data_offsets',
      () => one({ dtype: 'F32', shape: [1] }),
      /tensor w has data_offsets undefined, expected \[begin, end\] in bytes/,
    ],
    ['three data_offsets', () => one(entry('F32', [1], 0, 4, 4)), /tensor w has data_offsets \[0,4,4\]/],
    [
      'offsets that run back',
      () => one(entry('F32', [1], 4, 0)),
      /tensor w has data_offsets \[4,0\], expected \[begin, end\] in bytes with begin <= end/,
    ],
    ['a negative offset', () => one(entry('F32', [1], -4, 0)), /tensor w has data_offsets \[-4,0\]/],
    [
      'an offset beyond whole numbers',
      () => one(entry('F32', [0], 2 ** 53, 2 ** 53), 0),
      /tensor w has data_offsets \[9007199254740992,/,
    ],
    [
      'an offset at the edge',
      () => one(entry('F32', [0], 2 ** 53 - 1, 2 ** 53 - 1), 0),
      /tensor w has data_offsets \[9007199254740991,9007199254740991\], beyond any file/,
    ],
    [
      'a length that does not fit',
      () => one(entry('F32', [2, 2], 0, 12), 12),
      /tensor w takes 12 bytes, but F32 \[2, 2\] needs 16; download or write the file again/,
    ],
    ['half a byte', () => one(entry('F4', [3], 0, 2), 2), /tensor w takes 2 bytes, but F4 \[3\] needs 1\.5/],
    [
      'a file cut short',
      () => one(entry('F32', [4], 0, 16), 12),
      /ends at byte 16 of the data, but the file has only 12; the header promises a file of \d+ bytes, this one has \d+: it was cut short or its header is wrong; download/,
    ],
    [
      'an overlap',
      () => withHeader({ w: entry('F32', [4], 0, 16), v: entry('F32', [2], 8, 16) }, 16),
      /tensor v overlaps tensor w by 8 bytes/,
    ],
    [
      'the same range twice',
      () => withHeader({ w: entry('F32', [4], 0, 16), v: entry('F32', [4], 0, 16) }, 16),
      /overlaps tensor [wv] by 16 bytes/,
    ],
    [
      'an empty tensor inside of another',
      () => withHeader({ w: entry('F32', [2], 0, 8), v: entry('F32', [0], 4, 4) }, 8),
      /tensor v overlaps tensor w by 4 bytes/,
    ],
    [
      'a hole at the start',
      () => one(entry('F32', [1], 4, 8), 8),
      /4 bytes between the header and tensor w belong to no tensor/,
    ],
    [
      'a hole',
      () => withHeader({ w: entry('F32', [1], 0, 4), v: entry('F32', [1], 8, 12) }, 12),
      /4 bytes between tensor w and tensor v belong to no tensor/,
    ],
    [
      'bytes after the last tensor',
      () => one(entry('F32', [1], 0, 4), 9),
      /5 bytes at the end belong to no tensor, after tensor w/,
    ],
    ['data and no tensor', () => withHeader({}, 3), /3 bytes at the end belong to no tensor, after the header/],
  ];

  test.each(cases)('%s', (_, make, message) => {
    const file = make();
    const fault = faultOf(file);
    expect(fault.code).toBe('SAFETENSORS_INVALID');
    expect(fault.message).toMatch(message);
    expect(fault.message.startsWith(`${file}: `)).toBe(true);
  });

  test('what is deep or long is not shown whole, control characters are escaped', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(faultOf(withHeader(`{"w":${deep}}`)).message).toMatch(
      /tensor w is described by \[\.\.\.\], expected an object/,
    );
    expect(faultOf(withHeader(`{"w":{"dtype":"F32","shape":${deep},"data_offsets":[0,0]}}`)).message).toMatch(
      /has shape \[\.\.\.\]/,
    );
    const long = faultOf(withHeader({ ['n'.repeat(10_000)]: 1 })).message;
    expect(long).toMatch(/n{200}\.\.\. is described by 1/);
    expect(long.length).toBeLessThan(600);
    expect(faultOf(withHeader({ '\u001b[2J': 1 })).message).toContain('tensor \\u001b[2J is');
    expect(
      faultOf(
        withHeader({
          w: entry(
            'F32',
            Array.from({ length: 100 }, () => 'x'),
            0,
            4,
          ),
        }),
      ).message,
    ).toMatch(/"x",\.\.\. 92 more\]/);
  });
});

test('FILE_UNREADABLE: nothing there, a folder', () => {
  const none = path.join(folder, 'none');
  expect(faultOf(none)).toMatchObject({
    code: 'FILE_UNREADABLE',
    message: expect.stringMatching(/^cannot read .*none: ENOENT/),
  });
  expect(faultOf(none).cause).toMatchObject({ code: 'ENOENT' });
  mkdirSync(path.join(folder, 'folder'));
  expect(faultOf(path.join(folder, 'folder'))).toMatchObject({
    code: 'FILE_UNREADABLE',
    message: expect.stringMatching(/it is a folder, expected a regular file/),
  });
});

test('duplicateKey sees keys only, each in its own object', () => {
  expect(duplicateKey('{"a":{"a":["a","a"]},"b":"a:","c":[{"a":1},{"a":2}]}')).toBeUndefined();
  expect(duplicateKey('{"a":{"x" : 1,\n"x"\t:2}}')).toBe('x');
  expect(duplicateKey('{"a\\"{":1,"b":"\\\\","a\\u0022{":2}')).toBe('a"{');
  expect(duplicateKey('{"":1,"__proto__":2,"":3}')).toBe('');
  expect(duplicateKey('[{"a":{}},"a",{"b":1,"c":{"b":1},"b":2}]')).toBe('b');
});
