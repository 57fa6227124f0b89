import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { createReferenceEngine } from '@glulam/tensors';
import type { Decoder } from '@glulam/model';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, describe, expect, test } from 'vitest';
import { mutateBytes, mutateSafetensors, mutateText, type Random } from '../../../test/fuzz/mutate.js';
import { fuzzInputs, runFuzz } from '../../../test/fuzz/run-fuzz.js';
import { readParquet } from './data/rows/read-parquet.js';
import { readRows } from './data/rows/read-rows.js';
import { openTokenStore } from './data/store/token-store.js';
import { writeTokenStore } from './data/store/write-token-store.js';
import { findCheckpoint, readCheckpoint, readOptimizer, writeCheckpoint } from './run/run-checkpoint.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));
const hour = { timeout: 3_600_000 };

const parquet = Buffer.from(
  parquetWriteBuffer({
    columnData: [
      { name: 'question', data: ['one', 'two', 'drei 🙂', '', 'five'], type: 'STRING' },
      { name: 'id', data: [1n, 2n, 3n, 2n ** 60n, 5n], type: 'INT64' },
      { name: 'messages', data: [[{ role: 'user' }], [], null, [{ role: 'a' }, { role: 'b' }], [1]], type: 'JSON' },
    ],
    rowGroupSize: 2,
  }),
);
const texts = {
  '.jsonl': '{"a":"é 🙂","b":[1,2]}\r\n\n{"a":null}\n{"c":{"d":"\\u00e9"}}',
  '.json': '[{"a":"é 🙂","b":[1,2]}, {"a":null},\n{"c":{"d":"\\u00e9\\""}}]',
  '.ndjson': '[{"a":"é 🙂"},\n{"a":null}]',
  '.csv': 'a,b\n"é 🙂, ""x""\r\ny",1\n,2\n',
  '.tsv': 'a\tb\n"é\t🙂"\t1\r\n\t\n',
};
const line = '{"a":"one two three one two three"}\n';
const packed = {
  '.jsonl.gz': gzipSync(line.repeat(20)),
  '.csv.gz': gzipSync(texts['.csv']),
  // By zstd 1.5: twenty such lines after one of `texts`.
  '.jsonl.zst': Buffer.from(
    'KLUv/QRYvQEAlAJ7ImEiOiLDqSDwn5mCIiwiYiI6WzEsMl19Cm9uZSB0d28gdGhyZWUgIgMAq46qhJhH2cMcAwxTb9c=',
    'base64',
  ),
  '.json': Buffer.from(`\uFEFF[${line}]`, 'utf16le'),
};

describe('rows of data files', () => {
  test.each(Object.entries(texts))('%s', hour, async (ending, good) => {
    const file = path.join(folder, `rows${ending}`);
    const bytes = Buffer.from(good);
    const attempt = async (random: Random): Promise<void> => {
      writeFileSync(file, random(2) === 0 ? mutateBytes(bytes, random) : mutateText(good, random));
      for await (const { number } of readRows(file)) expect(number).toBeGreaterThan(0);
    };
    await runFuzz(`rows of ${ending}`, { codes: ['DATA_INVALID', 'DATA_UNREADABLE'], attempt });
  });

  test.each(Object.entries(packed))('%s, compressed or in UTF-16', hour, async (ending, good) => {
    const file = path.join(folder, `packed${ending}`);
    const attempt = async (random: Random): Promise<void> => {
      writeFileSync(file, mutateBytes(good, random));
      for await (const { number } of readRows(file)) expect(number).toBeGreaterThan(0);
    };
    await runFuzz(`rows of packed ${ending}`, { codes: ['DATA_INVALID', 'DATA_UNREADABLE'], attempt });
  });

  // Each takes a thread of its own, which is ended where a damaged file asks for any number of values; see
  // read-parquet.ts. So these are a thirtieth of the inputs.
  test('.parquet', hour, async () => {
    const file = path.join(folder, 'rows.parquet');
    const attempt = async (random: Random): Promise<void> => {
      // The footer, at the end, decides most.
      const damaged = mutateBytes(parquet, random);
      if (random(2) === 0 && damaged.length > 400) damaged[damaged.length - 1 - random(400)] = random(256);
      writeFileSync(file, damaged);
      for await (const { number } of readParquet(file, undefined, 2)) expect(number).toBeGreaterThan(0);
    };
    await runFuzz('rows of .parquet', {
      codes: ['DATA_INVALID', 'DATA_UNREADABLE'],
      attempt,
      inputs: Math.ceil(fuzzInputs / 30),
      milliseconds: 20_000,
    });
  });
});

test('a damaged store of tokens counts as none', hour, async () => {
  const file = path.join(folder, 'good.tokens');
  const ids = Int32Array.of(5, 6, 7, 8, 9);
  await writeTokenStore(file, async (writer) => {
    await writer.append(
      { ids, trained: Uint8Array.of(0, 1, 1, 0, 1), examples: Uint32Array.of(2, 0, 3, 1) } as never,
      0,
    );
    return { examples: 2, rows: 2, tokens: 5, trainedTokens: 3, skipped: [], notes: [], format: 'text' };
  });
  const good = readFileSync(file);
  const mutated = path.join(folder, 'mutated.tokens');
  await runFuzz('token store', {
    codes: ['not there'],
    async attempt(random) {
      const bytes = mutateBytes(good, random);
      writeFileSync(mutated, bytes);
      const store = await openTokenStore(mutated);
      expect(store !== undefined).toBe(bytes.equals(good));
      store?.close();
      // What is not whole is made anew: that is its refusal.
      if (store === undefined) throw Object.assign(new Error('none'), { name: 'TrainerError', code: 'not there' });
    },
  });
});

test('a damaged checkpoint is passed over with a reason, or is whole', hour, async () => {
  const engine = createReferenceEngine();
  const parameters = new Map([['x', engine.upload(Float32Array.of(1, 2, 3), [3])]]);
  const averages = new Map([['x', { mean: parameters.get('x')!, variance: parameters.get('x')! }]]);
  const run = path.join(folder, 'run');
  const checkpoint = path.join(run, 'checkpoints/step-00000003');
  mkdirSync(path.dirname(checkpoint), { recursive: true });
  const progress = { step: 3, drawn: 7, engine: 'reference', data: { examples: 1, tokens: 2, sha256: 'ab' } };
  await writeCheckpoint(checkpoint, { engine } as Decoder, { steps: 3, averages } as never, progress, async (to) => {
    mkdirSync(to);
    writeFileSync(path.join(to, 'glulam.json'), '{"version":1}');
  });
  const names = ['state.json', 'optimizer.safetensors', 'adapter/glulam.json'];
  const good = new Map(names.map((name) => [name, readFileSync(path.join(checkpoint, name))]));
  expect(readdirSync(checkpoint).sort()).toEqual(['adapter', 'optimizer.safetensors', 'state.json']);
  // A name that is a folder's, or leads out of the checkpoint, is no file of it.
  for (const name of ['adapter', '../../checkpoints/step-00000003/state.json']) {
    const state = JSON.parse(good.get('state.json')!.toString()) as { files: Record<string, unknown> };
    state.files[name] = state.files['optimizer.safetensors'];
    writeFileSync(path.join(checkpoint, 'state.json'), JSON.stringify(state));
    expect(await readCheckpoint(checkpoint)).toBe(`${name} is missing`);
    writeFileSync(path.join(checkpoint, 'state.json'), good.get('state.json')!);
  }
  await runFuzz('checkpoint', {
    codes: ['RUN_INVALID', 'SAFETENSORS_INVALID'],
    async attempt(random) {
      const name = names[random(8) < 6 ? 0 : 1 + random(2)]!;
      const before = good.get(name)!;
      const damaged =
        name.endsWith('.json') && random(3) > 0
          ? mutateText(before.toString(), random)
          : name.endsWith('.json')
            ? mutateBytes(before, random)
            : mutateSafetensors(before, random);
      writeFileSync(path.join(checkpoint, name), damaged);
      try {
        const told: string[] = [];
        const found = await findCheckpoint(run, (message) => told.push(message));
        expect(found).toBeDefined();
        // Where the digests are right, what they vouch for is whole.
        expect(readOptimizer(found!).averages.get('x')!.mean).toEqual(Float32Array.of(1, 2, 3));
        if (Buffer.from(damaged).equals(before)) expect(found!.progress).toEqual(progress);
      } finally {
        writeFileSync(path.join(checkpoint, name), before);
      }
    },
  });
  // The file's content, apart from its digest.
  const optimizer = path.join(folder, 'optimizer.safetensors');
  await runFuzz('optimizer state', {
    codes: ['SAFETENSORS_INVALID', 'SAFETENSORS_MISSING_TENSOR', 'DTYPE_MISMATCH'],
    attempt(random) {
      writeFileSync(optimizer, mutateSafetensors(good.get('optimizer.safetensors')!, random));
      for (const { mean, variance } of readOptimizer({ folder, adapterFolder: folder, progress }).averages.values()) {
        expect(mean).toBeInstanceOf(Float32Array);
        expect(variance).toBeInstanceOf(Float32Array);
      }
    },
  });
});
