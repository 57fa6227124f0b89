import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createChatTemplate } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import type { RunConfig } from '../../config/config.js';
import { formatDate, noteDate, parseDate, recordDate, takeOverDate } from './run-date.js';

test.each([
  ['2026-11-30', new Date(2026, 10, 30), '2026-11-30'],
  ['2024-02-29', new Date(2024, 1, 29), '2024-02-29'],
  ['2026-11-30T00:00', new Date(2026, 10, 30), '2026-11-30'],
  ['2026-11-30T09:30', new Date(2026, 10, 30, 9, 30), '2026-11-30T09:30:00'],
  ['2026-11-30T23:59:59', new Date(2026, 10, 30, 23, 59, 59), '2026-11-30T23:59:59'],
])('%s is a local time', (text, date, formatted) => {
  expect(parseDate(text)).toEqual(date);
  expect(formatDate(date)).toBe(formatted);
});

test.each([
  '',
  '30 Nov 2026',
  '2026-13-01',
  '2026-00-01',
  '2026-02-29',
  '2026-11-31',
  '2026-11-00',
  '2026-11-30T24:00',
  '2026-11-30T09:60',
  '2026-11-30T09',
  '2026-11-30T09:30:00Z',
  '2026-11-30 09:30',
  '0026-11-30',
  '2026-1-1',
])('"%s" is refused', (text) => expect(parseDate(text)).toBeUndefined());

describe('the date of a run', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-date-'));
  const config = { out: folder, data: {} } as RunConfig;
  const dated = { ...config, data: { date: '2020-01-02' } } as RunConfig;
  const tokenizer = (source: string) => ({ chatTemplate: createChatTemplate(source, {}, new Date(2026, 10, 30)) });
  const showing = tokenizer("{{ strftime_now('%d') }}");

  test('is recorded and reported where the template shows it', () => {
    expect(recordDate(config, showing).data.date).toBe('2026-11-30');
    expect(noteDate(config, showing)).toBe(
      "the chat template shows the date: it is given today's, 2026-11-30; data.date sets another",
    );
    expect(recordDate(config, tokenizer('{{ messages }}'))).toBe(config);
    expect(noteDate(config, tokenizer('{{ messages }}'))).toBeUndefined();
    expect(recordDate(config, { chatTemplate: undefined })).toBe(config);
  });

  test('that was chosen stays', () => {
    expect(recordDate(dated, showing).data.date).toBe('2020-01-02');
    expect(noteDate(dated, showing)).toBeUndefined();
  });

  test('is taken over from the folder by a config without one', () => {
    expect(takeOverDate(config)).toBe(config);
    const write = (text: string) => writeFileSync(path.join(folder, 'config.json'), text);
    write('{"data": {"date": "2021-03-04"}}');
    expect(takeOverDate(config).data.date).toBe('2021-03-04');
    expect(takeOverDate(dated)).toBe(dated);
    for (const other of ['{', 'null', '{}', '{"data": {"date": "soon"}}', '{"data": {"date": 5}}']) {
      write(other);
      expect(takeOverDate(config)).toBe(config);
    }
  });
});
