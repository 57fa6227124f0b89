import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lockFolder } from './work-lock.js';

/** A number that no process has on Linux, whose largest is 2^22. */
const nobody = 2 ** 22 + 1;
const before: Record<string, string | undefined> = {
  'nothing': undefined,
  'the lock of a process that was killed': String(nobody),
  'one that was killed before it had written its number': '',
  'one that was released': '0',
}; // prettier-ignore

test.each(Object.entries(before))('of many at once one gets the folder, with %s before', async (_, content) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-lock-'));
  if (content !== undefined) writeFileSync(path.join(folder, 'lock.1'), content);
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)));
  const taken = attempts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const refused = attempts.flatMap((each) => (each.status === 'rejected' ? [each.reason as object] : []));
  expect(taken).toHaveLength(1);
  for (const reason of refused) expect(reason).toMatchObject({ code: 'OUTPUT_UNUSABLE', message: expect.stringContaining(`process ${process.pid} is writing`) as string }); // prettier-ignore
  expect(readdirSync(folder)).toHaveLength(1);
  await taken[0]!.release();
  await expect(lockFolder(folder)).resolves.toBeDefined();
});
