import { FilesError } from '@glulam/files';
import { ModelError } from '@glulam/model';
import { expect, test } from 'vitest';
import { ExportError } from '../errors.js';
import { faultOfWriting } from './fault-of-writing.js';

const writing = (cause: unknown): FilesError => new FilesError('WRITE_FAILED', 'x was not written', { cause });

test.each([
  ['the model', new ModelError('WEIGHT_NOT_FINITE', 'NaN')],
  ['what is merged', new ExportError('MERGE_IMPOSSIBLE', 'no bias')],
  ['a file that changed', new FilesError('FILE_CHANGED', 'changed')],
])('a fault of %s is reported as it is', (_, cause) => {
  expect(faultOfWriting(writing(cause), undefined)).toBe(cause);
});

test('a fault of writing stays one', () => {
  const full = writing(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  expect(faultOfWriting(full, undefined)).toBe(full);
  const unreadable = writing(new FilesError('FILE_UNREADABLE', 'cannot be read'));
  expect(faultOfWriting(unreadable, new AbortController().signal)).toBe(unreadable);
  const other = new Error('other');
  expect(faultOfWriting(other, undefined)).toBe(other);
});

test('where a signal ended it, its reason is', () => {
  const reason = new Error('enough');
  expect(faultOfWriting(writing(reason), AbortSignal.abort(reason))).toBe(reason);
});
