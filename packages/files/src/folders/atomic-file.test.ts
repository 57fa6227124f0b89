import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { FilesError } from '../errors.js';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeLeftovers, writeFileAtomic, writeFolderAtomic } from './atomic-file.js';
import { openSafetensors } from '../safetensors/checkpoint-files.js';
import { readFloats } from '../storage/read-rows.js';
import { writeSafetensors } from '../safetensors/safetensors-writer.js';

const root = mkdtempSync(path.join(tmpdir(), 'glulam-atomic-'));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;
function freshFolder(): string {
  const folder = path.join(root, String(count++));
  mkdirSync(folder);
  return folder;
}

async function failureOf(work: Promise<void>): Promise<FilesError> {
  const error: unknown = await work.then(() => undefined).catch((reason: unknown) => reason);
  if (error instanceof FilesError) return error;
  throw new Error('expected a FilesError', { cause: error });
}
const fullDisk = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

describe('writeFileAtomic', () => {
  test('writes text, bytes and what a function writes, and makes the parents', async () => {
    const folder = path.join(freshFolder(), 'deep', 'er');
    await writeFileAtomic(path.join(folder, 'text'), 'täxt');
    await writeFileAtomic(path.join(folder, 'bytes'), Uint8Array.of(1, 2));
    await writeFileAtomic(path.join(folder, 'function'), async (file) => void (await file.write('by hand')));
    await writeFileAtomic(path.join(folder, 'text'), 'new');
    expect(readdirSync(folder).sort()).toEqual(['bytes', 'function', 'text']);
    expect(readFileSync(path.join(folder, 'text'), 'utf8')).toBe('new');
    expect([...readFileSync(path.join(folder, 'bytes'))]).toEqual([1, 2]);
    expect(readFileSync(path.join(folder, 'function'), 'utf8')).toBe('by hand');
  });

  test('while it is written the old file is there, and a hidden one beside it', async () => {
    const folder = freshFolder();
    const file = path.join(folder, 'file');
    await writeFileAtomic(file, 'old');
    await writeFileAtomic(file, async (handle) => {
      await handle.write('new');
      expect(readFileSync(file, 'utf8')).toBe('old');
      const temporary = readdirSync(folder).filter((name) => name !== 'file');
      expect(temporary).toEqual([expect.stringMatching(new RegExp(`^\\.file\\.${process.pid}-[0-9a-f]{8}\\.tmp$`))]);
    });
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  test('a failing write leaves the old file and nothing else, and keeps the cause', async () => {
    const folder = freshFolder();
    const file = path.join(folder, 'file');
    await writeFileAtomic(file, 'old');
    const cause = new Error('interrupted');
    const error = await failureOf(
      writeFileAtomic(file, async (handle) => {
        await handle.write('new');
        throw cause;
      }),
    );
    expect(error).toMatchObject({
      code: 'WRITE_FAILED',
      cause,
      message: `${file} was not written, what was there before is untouched: interrupted`,
    });
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  test('a full disk is said plainly, with the bytes that are needed where they are known', async () => {
    const file = path.join(freshFolder(), 'file');
    const fail = () => Promise.reject(fullDisk());
    const untouched = `the disk is full: ${file} was not written, what was there before is untouched; make room for`;
    expect((await failureOf(writeFileAtomic(file, fail))).message).toBe(`${untouched} it and try again`);
    expect((await failureOf(writeFileAtomic(file, fail, { bytes: 5_000_000_000 }))).message).toBe(
      `${untouched} its 5000000000 bytes and try again`,
    );
    const tensors = writeSafetensors(file, [{ name: 'w', shape: [4], dtype: 'float32', values: fail }], {});
    expect((await failureOf(tensors)).message).toMatch(
      /^the disk is full: .*; make room for its 80 bytes and try again$/,
    );
  });

  test('the error of a real full device', async ({ skip }) => {
    skip(!existsSync('/dev/full'), 'no /dev/full here');
    const file = path.join(freshFolder(), 'file');
    const error = await failureOf(
      writeFileAtomic(file, async () => {
        const full = await open('/dev/full', 'w');
        await full.write('x').finally(() => full.close());
      }),
    );
    expect(error).toMatchObject({
      code: 'WRITE_FAILED',
      cause: { code: 'ENOSPC' },
      message: expect.stringMatching(/^the disk is full: /),
    });
  });

  test('a target that cannot be: its parent is a file, it is a folder', async () => {
    const folder = freshFolder();
    writeFileSync(path.join(folder, 'file'), '');
    expect(await failureOf(writeFileAtomic(path.join(folder, 'file', 'x'), ''))).toMatchObject({
      code: 'WRITE_FAILED',
      cause: { code: expect.stringMatching(/ENOTDIR|EEXIST/) },
    });
    mkdirSync(path.join(folder, 'folder'));
    expect(await failureOf(writeFileAtomic(path.join(folder, 'folder'), ''))).toMatchObject({ code: 'WRITE_FAILED' });
    expect(readdirSync(folder).sort()).toEqual(['file', 'folder']);
  });
});

describe('writeFolderAtomic', () => {
  const put =
    (name: string, content = name) =>
    async (folder: string) =>
      writeFileSync(path.join(folder, name), content);

  test('a folder with folders in it, files that may not be written among them', async () => {
    const place = freshFolder();
    const target = path.join(place, 'run');
    await writeFolderAtomic(target, async (folder) => {
      expect(path.basename(folder)).toMatch(/^\.run\.\d+-[0-9a-f]{8}\.tmp$/);
      mkdirSync(path.join(folder, 'deep'));
      writeFileSync(path.join(folder, 'deep', 'file'), 'x');
      chmodSync(path.join(folder, 'deep', 'file'), 0o444);
      symlinkSync('deep/file', path.join(folder, 'link'));
      expect(existsSync(target)).toBe(false);
    });
    expect(readFileSync(path.join(target, 'link'), 'utf8')).toBe('x');
    expect(readdirSync(place)).toEqual(['run']);
  });

  test('an existing folder is replaced whole', async () => {
    const place = freshFolder();
    const target = path.join(place, 'run');
    await writeFolderAtomic(target, put('first'));
    await writeFolderAtomic(target, put('second'), { replace: true });
    expect(readdirSync(target)).toEqual(['second']);
    await writeFolderAtomic(target, put('third'));
    expect(readdirSync(target)).toEqual(['third']);
    expect(readdirSync(place)).toEqual(['run']);
  });

  test('replace: false refuses an existing folder before any work, even an empty one', async () => {
    const place = freshFolder();
    const target = path.join(place, 'run');
    await writeFolderAtomic(target, put('first'), { replace: false });
    let filled = false;
    const fill = async () => void (filled = true);
    const error = await failureOf(writeFolderAtomic(target, fill, { replace: false }));
    expect(error).toMatchObject({
      code: 'WRITE_FAILED',
      message: expect.stringMatching(
        /run was not written, .*: it exists already; choose another name, or remove it first$/,
      ),
    });
    expect(readdirSync(target)).toEqual(['first']);
    mkdirSync(path.join(place, 'empty'));
    await failureOf(writeFolderAtomic(path.join(place, 'empty'), fill, { replace: false }));
    expect(filled).toBe(false);
    expect(readdirSync(place).sort()).toEqual(['empty', 'run']);
  });

  test('replace: false also refuses a folder that appears meanwhile', async () => {
    const place = freshFolder();
    const target = path.join(place, 'run');
    const error = await failureOf(writeFolderAtomic(target, async () => void mkdirSync(target), { replace: false }));
    expect(error.message).toMatch(/it exists already/);
    expect(readdirSync(place)).toEqual(['run']);
  });

  test('a file is not replaced by a folder', async () => {
    const place = freshFolder();
    writeFileSync(path.join(place, 'run'), 'precious');
    const error = await failureOf(writeFolderAtomic(path.join(place, 'run'), put('x')));
    expect(error.message).toMatch(/there is a file of that name; expected a folder or nothing/);
    expect(readFileSync(path.join(place, 'run'), 'utf8')).toBe('precious');
    expect(readdirSync(place)).toEqual(['run']);
  });

  test('if filling fails the old folder stays, and the message tells what failed first', async () => {
    const place = freshFolder();
    const target = path.join(place, 'run');
    await writeFolderAtomic(target, put('first'));
    const error = await failureOf(
      writeFolderAtomic(target, async (folder) => {
        await put('half')(folder);
        await writeFileAtomic(path.join(folder, 'inner'), () => Promise.reject(fullDisk()));
      }),
    );
    expect(error).toMatchObject({ code: 'WRITE_FAILED', cause: { code: 'WRITE_FAILED', cause: { code: 'ENOSPC' } } });
    expect(error.message).toBe(
      `the disk is full: ${target} was not written, what was there before is untouched; make room for it and try again`,
    );
    expect(readdirSync(target)).toEqual(['first']);
    expect(readdirSync(place)).toEqual(['run']);
  });
});

describe('kill -9', () => {
  // The sources as JavaScript, for a process of their own: Node 20 does not read TypeScript and dist/ may be older.
  const modules = path.join(root, 'modules');
  beforeAll(() => {
    mkdirSync(modules);
    writeFileSync(path.join(modules, 'package.json'), '{"type":"module"}');
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
    const sources = path.resolve(import.meta.dirname, '..');
    for (const name of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(path.join(sources, name), 'utf8'), { compilerOptions });
      const file = path.join(modules, name.replace(/ts$/, 'js'));
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, outputText);
    }
  });

  const points = pathToFileURL(path.resolve(import.meta.dirname, '../../../../test/support/kill-points.mjs')).href;

  /** Run a script beside the modules, to be killed at a point (test/support/kill-points.mjs), and give its signal. */
  async function run(script: string, env: Record<string, string>): Promise<NodeJS.Signals | null> {
    const file = path.join(modules, `script-${count++}.js`);
    writeFileSync(file, `import { writeFileSync } from 'node:fs';\nimport path from 'node:path';\n${script}`);
    const child = spawn(process.execPath, ['--import', points, file], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    });
    return new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
  }

  test('in the middle of a tensor: the old file is whole, under its name is nothing else', async () => {
    const folder = freshFolder();
    const file = path.join(folder, 'model.safetensors');
    const values = Float32Array.from({ length: 1000 }, (_, i) => i);
    await writeSafetensors(file, [{ name: 'w', shape: [1000], dtype: 'float32', values }]);
    const old = readFileSync(file);
    const script = `import { writeSafetensors } from './safetensors/safetensors-writer.js';
      async function* data() {
        for (let i = 0; i < 4; i++) yield new Uint8Array(1e6);
      }
      await writeSafetensors(${JSON.stringify(file)}, [{ name: 'w', shape: [1000000], dtype: 'float32', data }]);`;
    // After the header and 3 MB of 4.
    expect(await run(script, { GLULAM_KILL_AT: 'wrote .model.safetensors.tmp#4' })).toBe('SIGKILL');
    expect(readFileSync(file)).toEqual(old);
    expect(readFloats(openSafetensors(file).source('w'))).toEqual(values);
    expect(readdirSync(folder).filter((name) => name !== 'model.safetensors')).toEqual([
      expect.stringMatching(/^\.model\.safetensors\.\d+-[0-9a-f]{8}\.tmp$/),
    ]);
  });

  test('at every point of writing again and again: what stands there is one version, whole', async () => {
    const size = 300_000;
    const versionsSeen = new Set<string>();
    const scriptIn = (place: string): string =>
      `import { writeFileAtomic, writeFolderAtomic } from './folders/atomic-file.js';
      const [file, folder] = ['file', 'folder'].map((name) => path.join(${JSON.stringify(place)}, name));
      for (let version = 0; version < 3; version++) {
        const content = Buffer.alloc(${size}, version);
        await writeFileAtomic(file, content);
        await writeFolderAtomic(folder, async (temporary) => {
          for (const name of ['a', 'b']) writeFileSync(path.join(temporary, name), content);
        });
      }`;
    const list = path.join(freshFolder(), 'points');
    expect(await run(scriptIn(freshFolder()), { GLULAM_POINTS: list })).toBe(null);
    const all = readFileSync(list, 'utf8').trim().split('\n');
    const first = all.findIndex((point) => /^renamed .*\/folder$/.test(point));
    expect(all.length - first).toBeGreaterThan(20);
    for (let at = first + 1; at <= all.length; at++) {
      const place = freshFolder();
      const file = path.join(place, 'file');
      const folder = path.join(place, 'folder');
      expect(await run(scriptIn(place), { GLULAM_KILL_AT: String(at) }), all[at - 1]).toBe('SIGKILL');
      const checkWhole = (bytes: Buffer): void => {
        versionsSeen.add(String(bytes[0]));
        expect(bytes.length).toBe(size);
        expect(bytes.equals(Buffer.alloc(size, bytes[0]))).toBe(true);
      };
      checkWhole(readFileSync(file));
      // Between the two renames of a folder the old one stands aside, whole.
      const standing = existsSync(folder)
        ? folder
        : path.join(
            place,
            readdirSync(place).find((name) => name.endsWith('.tmp.old'))!,
          );
      const [a, b] = ['a', 'b'].map((name) => readFileSync(path.join(standing, name)));
      checkWhole(a!);
      expect(b!.equals(a!)).toBe(true);
    }
    expect([...versionsSeen]).toEqual(['0', '1', '2']);
  });
});

test('removeLeftovers takes away what processes that are gone left, and nothing else', async () => {
  const folder = freshFolder();
  // Linux has no process of this number by default, and other systems hardly ever.
  const gone = 4194303;
  const kept = [
    'file',
    '.hidden.tmp',
    `.file.${process.pid}-0123abcd.tmp`,
    `.lost.${gone}-0123abcd.tmp.old`,
    `.file.${gone}-0123abcd.tmp.bak`,
  ];
  for (const name of [...kept, `.file.${gone}-0123abcd.tmp`, `.file.${gone}-0123abcd.tmp.old`])
    writeFileSync(path.join(folder, name), 'x');
  mkdirSync(path.join(folder, `.folder.${gone}-0123abcd.tmp`, 'deep'), { recursive: true });
  await removeLeftovers(folder);
  expect(readdirSync(folder).sort()).toEqual([...kept].sort());
});
