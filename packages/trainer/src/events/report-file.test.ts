import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openReportFile } from './report-file.js';

describe('report file', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-report-'));

  test('records are appended at once, behind those of earlier sittings, until it is closed', () => {
    const file = path.join(folder, 'a/b/records');
    const first = openReportFile(file);
    first.append(Buffer.from('one,'));
    expect(readFileSync(file, 'utf8')).toBe('one,');
    first.close();
    first.close();
    first.append(Buffer.from('late,'));
    const second = openReportFile(file);
    expect([first.sizeBefore, second.sizeBefore]).toEqual([0, 4]);
    second.append(Buffer.from('two,'));
    second.close();
    expect(readFileSync(file, 'utf8')).toBe('one,two,');
  });

  test('a place that cannot be written is named', () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    const attempt = (): unknown => openReportFile(path.join(file, 'below'));
    expect(attempt).toThrow(expect.objectContaining({ code: 'REPORT_UNWRITABLE' }) as Error);
    expect(attempt).toThrow(/file\/below cannot be written \(.+\); the run goes on without this reporter/);
  });

  test('a pipe that nothing reads is not waited for', () => {
    const file = path.join(folder, 'pipe');
    execFileSync('mkfifo', [file]);
    expect(() => openReportFile(file)).toThrow(/pipe cannot be written \(it is a named pipe that nothing reads\)/);
  });

  test('no room: the record is refused with the reason', ({ skip }) => {
    skip(!existsSync('/dev/full'), 'no /dev/full here');
    const full = openReportFile('/dev/full');
    expect(() => full.append(Buffer.from('record'))).toThrow(/dev\/full cannot be written \(ENOSPC/);
    full.close();
  });
});
