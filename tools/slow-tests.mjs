// The slow tier: files of tests that `npm run test:fast` leaves out, and folders of such (`test/runs/`). They pack, install,
// compile or build the site, train for many steps, start the command line again and again, kill it, wait for time limits, or
// damage inputs by the thousand. All others are the fast tier: unit tests, contract suites and golden cases.

/** In the order in which `npm test` begins them, the longest first: a long one at the end would leave a core without work. */
export const slowTests = [
  'tools/release/packages.test.ts',
  'test/glulam/',
  'plugins/engine-native/src/native-programs.test.ts',
  'test/evaluate/',
  'test/runs/',
  'test/model/golden-training.test.ts',
  'tools/scripts.test.ts',
  'test/attacks/',
  'test/model/generation.test.ts',
  'test/fuzz/',
  'packages/trainer/src/readers-fuzz.test.ts',
  'tools/check/check-plan.test.ts',
  'test/export/',
  'test/model/tfjs.test.ts',
  'test/model/dated-template.test.ts',
  'test/adapters/adapter-set.test.ts',
  'test/adapters/linear-scales.test.ts',
  'test/adapters/pissa.test.ts',
  'test/adapters/third-party-adapter.test.ts',
  'test/adapters/trained-copies.test.ts',
  'test/model/not-finite.test.ts',
  'test/model/random-maps.test.ts',
  'plugins/source-hub/src/hostile-hub.test.ts',
  'packages/files/src/folders/atomic-file.test.ts',
  'packages/model/src/text/tokenizers/patterns/regex-limit.test.ts',
  'packages/model/src/text/tokenizer-kinds.test.ts',
  'packages/model/src/text/time-limit.test.ts',
  'packages/model/src/adapters/python-regex/python-regex.test.ts',
  'packages/glulam/src/runs/trusted-runs.test.ts',
  'packages/trainer/src/data/draws.test.ts',
  'tools/bench/bench.test.ts',
  'tools/make/make-word-problems.test.ts',
  'tools/make/train-tiny-base.test.ts',
  'docs/snippets/library.test.ts',
];

/** @param {string} file relative to the repository @returns {number} its place in the list; -1 for one of the fast tier */
export const placeAmongSlow = (file) =>
  slowTests.findIndex((entry) => (entry.endsWith('/') ? file.startsWith(entry) : file === entry));
