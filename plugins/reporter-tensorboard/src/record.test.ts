import { expect, test } from 'vitest';
import { frameRecord } from './record.js';

// What TensorBoard's own writer makes of these: `tensorboard.summary.writer.record_writer.RecordWriter(f).write(b'...')`.
test.each([
  ['', '000000000000000029039807d8ea82a2'],
  ['123456789', '090000000000000037f97139313233343536373839e5b08ac7'],
])('a record of "%s"', (text, expected) => {
  expect(frameRecord(Buffer.from(text)).toString('hex')).toBe(expected);
});
