import { existsSync, mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { sharedTests } from './tools/shared-workers.mjs';
import { placeAmongSlow, slowTests } from './tools/slow-tests.mjs';

const longestOfFast = ['test/model/golden.test.ts', 'plugins/engine-native/src/native-engine.test.ts'];

/**
 * The slow tier first, in its order; of the fast one the golden cases and the engine's suite, which take longest. At the end the files that share
 * workers: a worker is kept only while the next file of the queue can use it.
 */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const file = path
        .relative(import.meta.dirname, moduleId)
        .split(path.sep)
        .join('/');
      const place = placeAmongSlow(file);
      if (place >= 0) return place;
      if (shared.has(file)) return 1e5;
      return longestOfFast.includes(file) ? 1e3 : 1e4;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/** The native engine's first instruction set here: tests do not depend on what a measurement would choose. */
function firstIsa(): string {
  const addon = path.join(import.meta.dirname, 'plugins/engine-native/build/glulam.node');
  if (!existsSync(addon)) return 'auto';
  return (createRequire(import.meta.url)(addon) as { readonly isas: readonly string[] }).isas[0]!;
}

const slow = slowTests.map((entry) => (entry.endsWith('/') ? `${entry}**/*.test.ts` : entry));
const shared = new Set(sharedTests(import.meta.dirname));

// Tests run from the sources: every workspace package offers them under the condition `@glulam/source`.
export default defineConfig({
  resolve: { conditions: ['@glulam/source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['@glulam/source', 'node', 'import', 'default'] } },
  test: {
    projects: [
      { extends: true, test: { name: 'slow', include: slow } },
      {
        extends: true,
        test: {
          name: 'apart',
          include: [
            ...['{packages,plugins}/*/{src,test}/**/*.test.ts', 'tools/**/*.test.ts', 'test/**/*.test.ts'],
            'docs/snippets/**/*.test.ts',
          ],
          exclude: [...configDefaults.exclude, ...slow, ...shared],
        },
      },
      { extends: true, test: { name: 'shared', isolate: false, include: [...shared] } },
    ],
    // A package without tests is no failure by itself; `npm test` fails when the whole workspace ran none.
    passWithNoTests: true,
    // Tokenized data, trusted folders and the like: not in the home of whoever runs the tests.
    env: {
      GLULAM_BUILT: '1',
      GLULAM_CACHE: mkdtempSync(path.join(tmpdir(), 'glulam-cache-')),
      GLULAM_ISA: process.env['GLULAM_ISA'] ?? firstIsa(),
      // Every core has a worker already: threads of one engine that wait for one another cost a fifth of the whole time. Tests of the
      // native engine itself say how many they want.
      GLULAM_THREADS: process.env['GLULAM_THREADS'] ?? '1',
      XDG_CONFIG_HOME: mkdtempSync(path.join(tmpdir(), 'glulam-config-')),
    },
    sequence: { sequencer: LongFirst },
    // One more than there are cores: many files wait for processes of their own.
    maxWorkers: availableParallelism() + 1,
    // For what hangs, not for what is slow: on a machine that is busy with other things a test takes many times as long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
