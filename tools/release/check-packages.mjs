// Looks at every package as users will get it: packs it and lets publint and "are the types wrong" judge the tarball, and
// checks what these do not know. Packages must be built. `npm run check:packages`
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { packWorkspace } from './packed.mjs';

const root = path.join(import.meta.dirname, '../..');

/** Packages are ES modules alone: what CommonJS and resolvers older than `exports` make of them is no concern. */
const otherResolvers = new Set(['node10', 'node16-cjs']);

/**
 * @param {string} folder where the tarballs are
 * @param {import('./packed.mjs').Packed[]} packed
 * @returns {Promise<string[]>} what is wrong, a line each
 */
export async function checkPackages(folder, packed) {
  const faults = [];
  for (const each of packed) faults.push(...(await faultsOf(each, folder)).map((fault) => `${each.name}: ${fault}`));
  return faults;
}

/** @param {import('./packed.mjs').Packed} packed @param {string} folder @returns {Promise<string[]>} */
async function faultsOf({ name, filename, files }, folder) {
  const tarball = readFileSync(path.join(folder, filename));
  const bytes = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength);
  const pkgDir = realpathSync(path.join(root, 'node_modules', name));
  const { messages, pkg } = await publint({ pack: { tarball: bytes }, strict: true });
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)));
  const types = analysis.types === false ? ['has no types'] : analysis.problems.filter(concernsUs).map(describeProblem);
  return [
    ...messages.map((message) => formatMessage(message, pkg) ?? message.code),
    ...types,
    ...ownFaults(pkgDir, files),
  ];
}

/** @param {import('@arethetypeswrong/core').Problem} problem */
const concernsUs = (problem) => !('resolutionKind' in problem && otherResolvers.has(problem.resolutionKind));

/** @param {import('@arethetypeswrong/core').Problem} problem */
const describeProblem = ({ kind, ...where }) => `types: ${kind} ${JSON.stringify(where)}`;

/** @param {string} pkgDir @param {{ path: string }[]} files */
function ownFaults(pkgDir, files) {
  const names = files.map((file) => file.path);
  const faults = [];
  // What create-glulam-plugin writes has tests.
  const left = names.filter((file) => /\.test\.|\.tsbuildinfo$/.test(file) && !file.startsWith('templates/'));
  if (left.length > 0) faults.push(`ships ${left.join(', ')}; leave them out in "files"`);
  if (!names.includes('LICENSE')) faults.push('has no LICENSE: copy the one of the repository');
  else if (readFileSync(path.join(pkgDir, 'LICENSE'), 'utf8') !== readFileSync(path.join(root, 'LICENSE'), 'utf8'))
    faults.push("has another LICENSE than the repository's: copy that one");
  // Declaration and source maps lead to sources; without them an editor's "go to definition" ends nowhere.
  if (names.some((file) => file.endsWith('.map')) && !names.some((file) => file.startsWith('src/')))
    faults.push('ships maps without the sources that they lead to: add "src" to "files"');
  return faults;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-pack-'));
  try {
    const packed = packWorkspace(folder);
    const faults = await checkPackages(folder, packed);
    for (const fault of faults) console.error(fault);
    if (faults.length > 0) process.exitCode = 1;
    else console.log(`${packed.length} packages: tarballs, exports and types are right`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
