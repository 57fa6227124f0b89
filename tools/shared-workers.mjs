// Which test files share a worker, and so load the modules that they have in common once: unit tests of the fast tier.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { placeAmongSlow } from './slow-tests.mjs';

/** A file that changes its process, or modules that others see, keeps a worker to itself. */
const changesProcess =
  /\bvi\.(mock|doMock|stub|useFakeTimers)|\bprocess\.(chdir|env\b[^;\n]*[^=!<>]=[^=>])|\bglobalThis\b/;

/**
 * Files with engines, whose threads and settings are of the process, or with servers. `doctor` loads every engine, and
 * TensorFlow.js's wasm backend throws every unhandled error of its process again.
 */
const apart = [
  'packages/glulam/src/commands/doctor/',
  'packages/testing/',
  'plugins/engine-native/',
  'plugins/engine-tfjs/',
  'plugins/source-hub/',
];

/** @param {string} root @returns {string[]} relative to the root, with `/` */
export function sharedTests(root) {
  return ['packages', 'plugins']
    .flatMap((group) => readdirSync(path.join(root, group)).map((name) => `${group}/${name}/src`))
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}/${name.split(path.sep).join('/')}`),
    )
    .filter(
      (file) =>
        placeAmongSlow(file) < 0 &&
        !apart.some((place) => file.startsWith(place)) &&
        !changesProcess.test(readFileSync(path.join(root, file), 'utf8')),
    )
    .sort();
}
