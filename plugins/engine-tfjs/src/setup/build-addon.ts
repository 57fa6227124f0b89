import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorsError } from '@glulam/tensors';
import { addonFolder, addonName } from '../tensorflow/binding.js';
import type { FoundTensorflow } from './find-tensorflow.js';

/** What the addon's sources lack. */
const additions = fileURLToPath(new URL('../../native/addon_additions.h', import.meta.url));

/**
 * Compile the addon of an installed tfjs-node against a TensorFlow, to where tfjs-node itself looks for it. It takes a
 * C++17 compiler; Node's headers come from npm, so that there is no network and no node-gyp. The libraries are linked
 * where they are: the addon works as long as that Python environment stays.
 *
 * @param folder of the package tfjs-node or tfjs-node-gpu
 * @throws TensorsError ENGINE_UNAVAILABLE with the compiler's words
 */
export function buildAddon(folder: string, { include, library, framework }: FoundTensorflow): string {
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => path.join(folder, 'binding', name));
  const missing = sources.find((file) => !existsSync(file));
  if (missing !== undefined) throw unavailable(`${missing} is missing: install the package again`);
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
  const target = path.join(folder, addonFolder, addonName);
  const temporary = `${target}.${process.pid}`;
  mkdirSync(path.dirname(target), { recursive: true });
  const compiler = findCompiler();
  const shared = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-fPIC'];
  const args = [
    ...['-std=c++17', '-O2', ...shared, '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=tfjs_binding'],
    ...[folder, include, headers].flatMap((place) => ['-I', place]),
    ...['-include', additions],
    ...sources,
    ...['-o', temporary, library, framework, `-Wl,-rpath,${path.dirname(library)}`],
  ];
  const built = spawnSync(compiler, args, { encoding: 'utf8' });
  if (built.status !== 0) {
    rmSync(temporary, { force: true });
    throw unavailable(`${compiler} does not build the addon:\n${built.error?.message ?? built.stderr}`);
  }
  renameSync(temporary, target);
  return target;
}

function findCompiler(): string {
  const candidates = [process.env['CXX'], 'c++', 'g++', 'clang++'].filter((name) => name !== undefined && name !== '');
  const found = candidates.find((name) => spawnSync(name!, ['--version']).status === 0);
  if (found !== undefined) return found;
  throw unavailable(
    'no C++ compiler was found; install one (Debian: apt-get install g++; macOS: xcode-select --install), or name it in the variable CXX',
  );
}

const unavailable = (message: string): TensorsError => new TensorsError('ENGINE_UNAVAILABLE', message);
