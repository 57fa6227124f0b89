import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hasCheckpointFiles, openCheckpointFiles, openSafetensors } from './checkpoint-files.js';
import { readFloats } from '../storage/read-rows.js';
import { writeSafetensors, type SafetensorsInput } from './safetensors-writer.js';

const root = mkdtempSync(path.join(tmpdir(), 'glulam-checkpoint-'));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;

const tensor = (name: string, ...values: number[]): SafetensorsInput => ({
  name,
  shape: [values.length],
  dtype: 'float32',
  values: Float32Array.from(values),
});

/** A folder with these files: safetensors of these tensors, or text. */
async function folderWith(files: Record<string, readonly SafetensorsInput[] | string>): Promise<string> {
  const folder = path.join(root, String(count++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    if (typeof content === 'string') writeFileSync(file, content);
    else await writeSafetensors(file, content, { format: 'pt', of: name });
  }
  return folder;
}
const index = (map: unknown): string => JSON.stringify({ metadata: { total_size: 1 }, weight_map: map });
const indexName = 'model.safetensors.index.json';

const fault = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('what is opened', () => {
  test('one file', async () => {
    const folder = await folderWith({ 'model.safetensors': [tensor('a', 1, 2), tensor('b', 3)] });
    const files = openCheckpointFiles(folder);
    const file = path.join(folder, 'model.safetensors');
    expect(files).toMatchObject({ folder, files: [file], totalBytes: 12, metadata: { format: 'pt' } });
    expect(files.names()).toEqual(['a', 'b']);
    expect([files.has('a'), files.has('c'), files.has('toString')]).toEqual([true, false, false]);
    expect(files.source('b')).toMatchObject({ name: 'b', shape: [1], dtype: 'float32', origin: file });
    expect(openSafetensors(file).names()).toEqual(['a', 'b']);
  });

  test('shards: every tensor from its own file, also one that the index leaves out', async () => {
    const folder = await folderWith({
      'x-1.safetensors': [tensor('a', 1), tensor('b', 2, 3)],
      'x-2.safetensors': [tensor('c', 4), tensor('unlisted', 5)],
      [indexName]: index({ c: 'x-2.safetensors', a: 'x-1.safetensors', b: 'x-1.safetensors' }),
    });
    const files = openCheckpointFiles(folder);
    expect([...files.names()].sort()).toEqual(['a', 'b', 'c', 'unlisted']);
    expect(files.names().map((name) => [...readFloats(files.source(name))])).toEqual([[4], [5], [1], [2, 3]]);
    expect(files.files.map((file) => path.basename(file))).toEqual(['x-2.safetensors', 'x-1.safetensors']);
    expect(files).toMatchObject({ totalBytes: 20, metadata: { format: 'pt', of: 'x-2.safetensors' } });
  });

  test('the single file comes before an index, as in transformers', async () => {
    const folder = await folderWith({
      'model.safetensors': [tensor('a', 1)],
      [indexName]: index({ a: 'gone.safetensors' }),
    });
    expect(openCheckpointFiles(folder).names()).toEqual(['a']);
  });

  test('types that are no weights are listed, and refused only as weights', async () => {
    const odd: SafetensorsInput[] = [
      { name: 'ids', shape: [1], dtype: 'I64', data: new Uint8Array(8) },
      { name: 'scales', shape: [3], dtype: 'F8_E4M3', data: new Uint8Array(3) },
      { name: 'mask', shape: [2], dtype: 'BOOL', data: new Uint8Array(2) },
    ];
    const files = openCheckpointFiles(await folderWith({ 'model.safetensors': [tensor('a', 1), ...odd] }));
    expect([...files.names()].sort()).toEqual(['a', 'ids', 'mask', 'scales']);
    expect(files.entry('scales')).toMatchObject({ dtype: 'F8_E4M3', shape: [3], byteLength: 3 });
    for (const { name, dtype } of odd) {
      const message = new RegExp(
        `tensor ${name} of .*model.safetensors is stored as ${dtype}, expected one of F32, BF16, F16, I32: convert`,
      );
      expect(() => files.source(name)).toThrow(fault('DTYPE_MISMATCH', message));
    }
  });
});

describe('what is wrong with the index and concerns no tensor that is needed', () => {
  const openNeeding = async (needed: readonly string[], map: object) => {
    const folder = await folderWith({
      'x.safetensors': [tensor('a', 1), tensor('twice', 2)],
      'y.safetensors': [tensor('c', 3), tensor('twice', 4)],
      [indexName]: index(map),
    });
    return openCheckpointFiles(folder, (name) => needed.includes(name));
  };
  const whole = { a: 'x.safetensors', c: 'y.safetensors' };

  test.each<[what: string, needed: string[], map: object, warnings: RegExp[]]>([
    ['nothing', ['a', 'c'], whole, []],
    ['a tensor that is nowhere', ['a', 'c'], { ...whole, old: 'x.safetensors' }, [/the tensors old are in no shard/]],
    [
      'a shard that is missing',
      ['a', 'c'],
      { ...whole, old: 'z.safetensors' },
      [/the shards z\.safetensors are missing/],
    ],
    ['a tensor that is in another shard', ['c'], { ...whole, a: 'y.safetensors', twice: 'x.safetensors' }, []],
  ])('%s', async (_, needed, map, warnings) => {
    const files = await openNeeding(needed, map);
    expect(files.warnings).toEqual(warnings.map((each) => expect.stringMatching(each) as string));
    for (const warning of files.warnings)
      expect(warning).toMatch(/index\.json is out of date: .*; nothing needs them$/);
    for (const name of needed) expect(readFloats(files.source(name))).toHaveLength(1);
  });

  test.each<[needed: string, map: object, message: RegExp]>([
    ['old', { ...whole, old: 'x.safetensors' }, /tensor old is in x\.safetensors; it is not/],
    ['old', { ...whole, old: 'z.safetensors' }, /names the shard z\.safetensors, which is not in/],
    [
      'a',
      { ...whole, a: 'y.safetensors', twice: 'x.safetensors' },
      /tensor a is in y\.safetensors; it is not, it is in x/,
    ],
    ['twice', whole, /tensor twice is in two shards/],
  ])('is refused where %s is needed', async (needed, map, message) => {
    await expect(openNeeding([needed], map)).rejects.toThrow(fault('SAFETENSORS_INVALID', message));
  });
});

describe('what is refused', () => {
  test('a missing tensor, with the names that come close', async () => {
    const name = (layer: number, linear: string) => `model.layers.${layer}.self_attn.${linear}.weight`;
    const files = openCheckpointFiles(
      await folderWith({
        'model.safetensors': [name(0, 'q_proj'), name(0, 'k_proj'), name(1, 'q_proj'), 'lm_head.weight'].map((each) =>
          tensor(each, 1),
        ),
      }),
    );
    const message =
      /model\.safetensors has no tensor model\.layers\.0\.attn\.q_proj\.weight; the closest names are model\.layers\.0\.self_attn\.q_proj\.weight, model\.layers/;
    expect(() => files.source('model.layers.0.attn.q_proj.weight')).toThrow(
      fault('SAFETENSORS_MISSING_TENSOR', message),
    );
    expect(() => files.entry('toString')).toThrow(fault('SAFETENSORS_MISSING_TENSOR', /has no tensor toString/));
    const empty = openCheckpointFiles(await folderWith({ 'model.safetensors': [] }));
    expect(() => empty.source('a')).toThrow(fault('SAFETENSORS_MISSING_TENSOR', /has no tensor a; it has none at all/));
  });

  const folders: [what: string, files: Record<string, string>, message: RegExp][] = [
    [
      'an empty folder',
      {},
      /has no weights; expected a Hugging Face checkpoint with model\.safetensors or model\.safetensors\.index\.json/,
    ],
    [
      'pickle files',
      { 'pytorch_model-1.bin': '', 'pytorch_model-2.bin': '' },
      /pytorch_model-1\.bin, pytorch_model-2\.bin: a pickle file can run any code .* transformers: .*save_pretrained\("converted", safe_serialization=True\)/,
    ],
    ['a .pth file', { 'consolidated.00.pth': '' }, /has its weights in consolidated\.00\.pth: a pickle file/],
    ['a .pt file', { 'model.pt': '' }, /has its weights in model\.pt: a pickle file/],
    [
      "Mistral's own layout",
      { 'consolidated.safetensors': '', 'params.json': '' },
      /has only consolidated\.safetensors, which is another layout, Mistral's own; expected model\.safetensors or/,
    ],
    [
      'shards without their index',
      { 'model-00001-of-00002.safetensors': '', 'x.bin': '' },
      /has model-00001-of-00002\.safetensors, but no model\.safetensors or model\.safetensors\.index\.json: download the missing file/,
    ],
  ];
  test.each(folders)('%s', async (_, files, message) => {
    const folder = await folderWith(files);
    expect(() => openCheckpointFiles(folder)).toThrow(fault('FILE_UNREADABLE', message));
  });

  test('a folder that is not there', () => {
    expect(() => openCheckpointFiles(path.join(root, 'none'))).toThrow(
      fault('FILE_UNREADABLE', /cannot read the folder .*none: ENOENT/),
    );
  });

  const indexes: [what: string, text: string, message: RegExp][] = [
    ['no JSON', '{', /index\.json: it is not JSON .*; download it again/],
    ['null', 'null', /it has no weight_map/],
    ['no weight_map', '{}', /it has no weight_map, an object with the file of each tensor/],
    ['a weight_map that is a list', index(['x.safetensors']), /it has no weight_map/],
    ['an empty weight_map', index({}), /its weight_map is empty/],
    [
      'a tensor that it names twice',
      '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}',
      /it has "a" twice in one object/,
    ],
    [
      'a shard that is a number',
      index({ a: 3 }),
      /puts tensor a into a value of type number, expected the name of a file in the same folder/,
    ],
    [
      'a shard above',
      index({ a: '../x.safetensors' }),
      /puts tensor a into "\.\.\/x\.safetensors", expected the name of a file/,
    ],
    ['the folder above', index({ a: '..' }), /puts tensor a into "\.\."/],
    ['the folder', index({ a: '.' }), /puts tensor a into "\."/],
    ['an absolute path', index({ a: '/etc/passwd' }), /puts tensor a into "\/etc\/passwd"/],
    ["Windows' path", index({ a: '..\\x.safetensors' }), /expected the name of a file/],
    ["Windows' drive", index({ a: 'c:x.safetensors' }), /expected the name of a file/],
    ['a name with a zero', index({ a: 'x\0y' }), /expected the name of a file/],
    ['an empty name', index({ a: '' }), /puts tensor a into ""/],
    [
      'a missing shard',
      index({ a: 'x.safetensors', b: 'x-2.safetensors' }),
      /it names the shard x-2\.safetensors, which is not in .*; download it again/,
    ],
    [
      'a tensor in none of the shards',
      index({ a: 'x.safetensors', b: 'x.safetensors' }),
      /says that tensor b is in x\.safetensors; it is not, it is in none of the shards/,
    ],
    [
      'a tensor in another shard',
      index({ a: 'y.safetensors', c: 'x.safetensors' }),
      /tensor a is in y\.safetensors; it is not, it is in x\.safetensors/,
    ],
    [
      'a tensor in two shards',
      index({ a: 'x.safetensors', d: 'z.safetensors' }),
      /tensor a is in two shards, x\.safetensors and z\.safetensors/,
    ],
  ];
  test.each(indexes)('an index with %s', async (_, text, message) => {
    const folder = await folderWith({
      'x.safetensors': [tensor('a', 1)],
      'y.safetensors': [tensor('c', 1)],
      'z.safetensors': [tensor('a', 1), tensor('d', 1)],
      [indexName]: text,
    });
    expect(() => openCheckpointFiles(folder)).toThrow(fault('SAFETENSORS_INVALID', message));
  });

  test('a shard that is a link to nothing is named with what it leads to', async () => {
    const folder = await folderWith({ [indexName]: index({ a: 'x.safetensors' }) });
    symlinkSync('../blobs/gone', path.join(folder, 'x.safetensors'));
    expect(hasCheckpointFiles(folder)).toBe(true);
    expect(() => openCheckpointFiles(folder)).toThrow(
      fault(
        'SAFETENSORS_INVALID',
        /the shard x\.safetensors, which is a link to \.\.\/blobs\/gone, which does not exist, in/,
      ),
    );
  });

  test('so is the one file', async () => {
    const folder = await folderWith({});
    expect(hasCheckpointFiles(folder)).toBe(false);
    symlinkSync('../blobs/gone', path.join(folder, 'model.safetensors'));
    expect(hasCheckpointFiles(folder)).toBe(true);
    expect(() => openCheckpointFiles(folder)).toThrow(
      fault('FILE_UNREADABLE', /has model\.safetensors as a link to \.\.\/blobs\/gone, which does not exist/),
    );
  });

  test('a file in the place of the folder holds none', async () => {
    const folder = await folderWith({ 'config.json': '{}' });
    expect(hasCheckpointFiles(path.join(folder, 'config.json'))).toBe(false);
  });

  test('a shard that is broken is named', async () => {
    const folder = await folderWith({ 'x.safetensors': 'short', [indexName]: index({ a: 'x.safetensors' }) });
    expect(() => openCheckpointFiles(folder)).toThrow(fault('SAFETENSORS_INVALID', /x\.safetensors: it has 5 bytes/));
  });
});
