import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';

// Tests run from the sources: every workspace package offers them under the condition `@glulam/source`.
export default defineConfig({
  resolve: { conditions: ['@glulam/source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['@glulam/source', 'node', 'import', 'default'] } },
  test: {
    include: [
      ...['{packages,plugins}/*/{src,test}/**/*.test.ts', 'tools/**/*.test.ts', 'test/**/*.test.ts'],
      'docs/snippets/**/*.test.ts',
    ],
    // A package without tests is no failure by itself; `npm test` fails when the whole workspace ran none.
    passWithNoTests: true,
    // Tokenized data and the like: not in the home of whoever runs the tests.
    env: { GLULAM_CACHE: mkdtempSync(path.join(tmpdir(), 'glulam-cache-')) },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
