import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeFileAtomic } from './atomic-file.js';
import { describeWriteFault, isSystemError } from './system-error.js';

const refused = (code: string): Error =>
  Object.assign(new Error(`${code}: refused, open '/x'`), { code, errno: -1, syscall: 'open', path: '/x' });

test('which errors are of the system', () => {
  expect(() => readFileSync('/nowhere/at/all')).toThrow(expect.toSatisfy(isSystemError));
  expect(isSystemError(refused('EACCES'))).toBe(true);
  expect(isSystemError(Object.assign(refused('ENOENT'), { syscall: 'spawn cc' }))).toBe(false);
  expect(isSystemError(Object.assign(new Error('x'), { code: 'CONFIG_INVALID' }))).toBe(false);
});

// As root no permission stops a test, and a read-only disk takes a mount: the write itself throws what the system would.
test.each(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'EFBIG', 'EMFILE', 'EIO', 'ENAMETOOLONG', 'ELOOP'])(
  'a write that %s stops: what helps, and the old file is whole',
  async (code) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-refused-'));
    const file = path.join(folder, 'file');
    await writeFileAtomic(file, 'old');
    const error: unknown = await writeFileAtomic(file, () => Promise.reject(refused(code))).catch(
      (each: unknown) => each,
    );
    expect(error).toMatchObject({ code: 'WRITE_FAILED' });
    expect((error as Error).message).toBe(
      `${file} was not written, what was there before is untouched: ${describeWriteFault(refused(code))}`,
    );
    expect(describeWriteFault(refused(code))).toMatch(/^E\w+: refused, open '\/x'; .*(name|raise|see|choose)/);
    expect(readdirSync(folder)).toEqual(['file']);
    expect(readFileSync(file, 'utf8')).toBe('old');
  },
);

test('another error is told as it is', () => {
  expect(describeWriteFault(new Error('interrupted'))).toBe('interrupted');
  expect(describeWriteFault('thrown')).toBe('thrown');
});
