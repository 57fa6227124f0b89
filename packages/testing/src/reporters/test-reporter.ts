import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ReporterContribution } from '@glulam/trainer';
import { describe, test } from 'vitest';
import { captureStdout } from './capture-stdout.js';
import { reporterChecks, type ReporterCheck } from './reporter-checks.js';

/** Where a reporter is tried: a folder of its own, which is also the run folder, and what it printed so far. */
export interface ReporterPlace {
  /** Removed after the check. */
  readonly folder: string;
  /** All that the process wrote to its standard output since the check began. */
  readonly stdout: string;
}

/** What `testReporter` tries a reporter with. */
export interface ReporterCases {
  /** As in a config, without the kind; default: none. */
  readonly options?: (folder: string) => unknown;
  /** All that was written so far, as text; '' where nothing was. */
  written(place: ReporterPlace): string | Promise<string>;
}

/**
 * The contract of a reporter: it can tell of every run, a failed or resumed one too, without losing what it told before;
 * it changes nothing of the run; and when it is closed, everything is written and nothing is held.
 */
export function testReporter<Options>(contribution: ReporterContribution<Options>, cases: ReporterCases): void {
  describe(`reporter ${contribution.kind}`, () => {
    for (const check of reporterChecks) {
      test(check.name, () => runReporterCheck(check, contribution, cases));
    }
  });
}

/** Run one check in a place of its own. */
export async function runReporterCheck(
  check: ReporterCheck,
  contribution: ReporterContribution,
  { options, written }: ReporterCases,
): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-reporter-'));
  const stdout = captureStdout();
  try {
    await check.run({
      contribution,
      folder,
      options: contribution.schema.parse(options?.(folder) ?? {}),
      written: async () => written({ folder, stdout: stdout.text() }),
    });
  } finally {
    stdout.restore();
    rmSync(folder, { recursive: true });
  }
}
