import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshFolder } from '../../test/made.js';
import { checkFree, checkRoom, openWorkFolder } from './work-folder.js';

function place() {
  const parent = freshFolder();
  return { parent, target: path.join(parent, 'merged'), work: path.join(parent, '.merged.merging') };
}
const put = (folder: string, name: string): void => writeFileSync(path.join(folder, name), name);

describe('a work folder', () => {
  test('is filled beside its target, which stands there whole when it is published', async () => {
    const { parent, target, work } = place();
    const { content, finished, finish, publish } = await openWorkFolder(target, 'one');
    expect([content, finished.size]).toEqual([path.join(work, 'content'), 0]);
    put(content, 'a');
    await finish('a', 'sum of a');
    put(content, 'b');
    expect(existsSync(target)).toBe(false);
    await publish();
    expect(readdirSync(parent)).toEqual(['merged']);
    expect(readdirSync(target).sort()).toEqual(['a', 'b']);
  });

  test('goes on with what was finished of the same content, and with nothing else', async () => {
    const { target } = place();
    const first = await openWorkFolder(target, 'one');
    for (const name of ['a', 'b', 'half']) put(first.content, name);
    mkdirSync(path.join(first.content, 'folder'));
    await first.finish('a', 'sum of a');
    await first.finish('b', 'sum of b');
    await first.finish('gone', 'sum of what is no longer there');
    await first.release();
    const again = await openWorkFolder(target, 'one');
    expect([...again.finished]).toEqual([
      ['a', 'sum of a'],
      ['b', 'sum of b'],
    ]);
    expect(readdirSync(again.content).sort()).toEqual(['a', 'b']);
    await again.release();
    const other = await openWorkFolder(target, 'two');
    expect([other.finished.size, readdirSync(other.content)]).toEqual([0, []]);
    // And what the first noted is forgotten.
    await other.release();
    expect((await openWorkFolder(target, 'one')).finished.size).toBe(0);
  });

  test('notes each file at once, so that a killed process has lost nothing', async () => {
    const { target, work } = place();
    const { content, finish } = await openWorkFolder(target, 'one');
    put(content, 'a');
    await finish('a', 'sum');
    const progress = JSON.parse(readFileSync(path.join(work, 'progress.json'), 'utf8')) as unknown;
    expect(progress).toEqual({ fingerprint: 'one', finished: { a: 'sum' } });
  });

  test('is gone when it is given up', async () => {
    const { parent, target } = place();
    const { content, remove } = await openWorkFolder(target, 'one');
    put(content, 'a');
    await remove();
    expect(readdirSync(parent)).toEqual([]);
  });

  test.each(['no JSON', '{"finished": 3}'])(
    'begins anew where its note is %j, unless there is something to lose',
    async (note) => {
      const { target, work } = place();
      await (await openWorkFolder(target, 'one')).release();
      writeFileSync(path.join(work, 'progress.json'), note);
      const again = await openWorkFolder(target, 'one');
      expect(again.finished.size).toBe(0);
      put(again.content, 'a');
      await again.release();
      writeFileSync(path.join(work, 'progress.json'), note);
      const opening = openWorkFolder(target, 'one');
      await expect(opening).rejects.toMatchObject({
        code: 'OUTPUT_UNUSABLE',
        message: expect.stringMatching(/holds files, and no progress\.json of a merge/),
      });
      expect(readdirSync(again.content)).toEqual(['a']);
      // It was not left locked.
      rmSync(path.join(again.content, 'a'));
      await (await openWorkFolder(target, 'one')).release();
    },
  );

  test('has one owner at a time', async () => {
    const { target, work } = place();
    const first = await openWorkFolder(target, 'one');
    put(first.content, 'a');
    await expect(openWorkFolder(target, 'two')).rejects.toMatchObject({
      code: 'OUTPUT_UNUSABLE',
      message: expect.stringMatching(new RegExp(`process ${process.pid}.* is writing ${work}`)),
    });
    expect(readdirSync(first.content)).toEqual(['a']);
    await first.release();
    await (await openWorkFolder(target, 'two')).release();
  });

  test('is refused where the target is there already, or its parent is a file', async () => {
    const { parent, target } = place();
    mkdirSync(target);
    const refusal = { code: 'OUTPUT_UNUSABLE', message: expect.stringContaining(target) };
    await expect(openWorkFolder(target, 'one')).rejects.toMatchObject(refusal);
    expect(readdirSync(parent)).toEqual(['merged']);
    put(parent, 'file');
    const below = path.join(parent, 'file', 'merged');
    await expect(openWorkFolder(below, 'one')).rejects.toMatchObject({
      code: 'OUTPUT_UNUSABLE',
      message: expect.stringContaining(`${below} cannot be written`),
    });
  });
});

test('checkFree throws for a file and a folder', () => {
  const { parent, target } = place();
  expect(() => checkFree(target)).not.toThrow();
  put(parent, 'merged');
  expect(() => checkFree(target)).toThrow(/merged exists already/);
});

test('checkRoom asks the disk of the nearest folder that exists', async () => {
  const { parent } = place();
  const below = path.join(parent, 'not', 'there', 'yet');
  await checkRoom(below, 1);
  const { blocks, bsize } = statfsSync(parent);
  await expect(checkRoom(below, 2 * blocks * bsize)).rejects.toMatchObject({
    code: 'OUTPUT_UNUSABLE',
    message: expect.stringMatching(new RegExp(`the disk of ${parent} has room for .* GB`)),
  });
});
