import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TensorsError } from '@glulam/tensors';
import { folderOfPackage } from '../load-package.js';
import type { TfPackage } from '../tensorflow/binding.js';
import { buildAddon } from './build-addon.js';
import { findTensorflow } from './find-tensorflow.js';

const usage = `glulam-tfjs setup [--gpu] [--python PYTHON]

Builds the addon of an installed @tensorflow/tfjs-node on the TensorFlow of a Python environment, and checks it with one
product. It takes a C++ compiler and about ten seconds.

  --gpu             for @tensorflow/tfjs-node-gpu, the backend node-gpu
  --python PYTHON   the Python whose TensorFlow is used; default: that of the active virtual environment, or python3
`;

/** The command `glulam-tfjs`; the exit code. */
export function main(words: readonly string[]): number {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        gpu: { type: 'boolean', default: false },
        python: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true || positionals.join(' ') !== 'setup') {
      (values.help === true ? process.stdout : process.stderr).write(usage);
      return values.help === true ? 0 : 1;
    }
    setup(values.gpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node', values.python);
    return 0;
  } catch (error) {
    const code = error instanceof TensorsError ? ` [${error.code}]` : '';
    process.stderr.write(`error${code}: ${(error as Error).message}\n`);
    return 1;
  }
}

function setup(name: TfPackage, python: string | undefined): void {
  if (process.platform === 'win32') {
    throw new TensorsError('ENGINE_UNAVAILABLE', 'TensorFlow for Windows has no library to link; run this inside WSL');
  }
  const folder = folderOfPackage(name, `npm install --ignore-scripts ${name}`);
  const tensorflow = findTensorflow(python);
  console.log(`${tensorflow.version} of ${tensorflow.python}`);
  const file = buildAddon(folder, tensorflow);
  console.log(`built ${file}`);
  // In a process of its own: an addon that does not fit may end it.
  const program = fileURLToPath(new URL('./check-addon.js', import.meta.url));
  const checked = spawnSync(process.execPath, [program, file], { encoding: 'utf8' });
  if (checked.status !== 0) {
    throw new TensorsError(
      'ENGINE_UNAVAILABLE',
      `${file} was built but does not work (${checked.signal ?? `exit ${checked.status}`}): ${checked.stderr.trim()}`,
    );
  }
  console.log(checked.stdout.trim());
  console.log(`use it: engine: { kind: 'tfjs', backend: '${name.endsWith('-gpu') ? 'node-gpu' : 'node'}' }`);
}
