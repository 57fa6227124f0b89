import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { TensorsError } from '@glulam/tensors';

/** The TensorFlow of a Python environment, as far as an addon needs it. */
export interface FoundTensorflow {
  readonly python: string;
  readonly version: string;
  readonly include: string;
  readonly library: string;
  readonly framework: string;
}

/** Asks Python where the package lies; importing it would take seconds and the GPU. */
const question = `
import importlib.util, json, sys
spec = importlib.util.find_spec("tensorflow")
places = list(spec.submodule_search_locations) if spec else []
version = ""
if places:
    from importlib.metadata import packages_distributions, version as of
    names = packages_distributions().get("tensorflow", [])
    version = ", ".join(name + " " + of(name) for name in sorted(set(names)))
print(json.dumps({"folder": places[0] if places else None, "version": version, "python": sys.executable}))
`;

/**
 * @param python the program to ask; without it that of the active virtual environment, or `python3`
 * @throws TensorsError ENGINE_UNAVAILABLE with what was found and what is missing
 */
export function findTensorflow(python = defaultPython()): FoundTensorflow {
  const asked = spawnSync(python, ['-c', question], { encoding: 'utf8' });
  if (asked.error !== undefined || asked.status !== 0) {
    throw unavailable(
      `${python} does not answer: ${asked.error?.message ?? asked.stderr.trim().split('\n').at(-1)}; name a Python 3.10 or newer: --python PYTHON`,
    );
  }
  const found = JSON.parse(asked.stdout) as { folder: string | null; version: string; python: string };
  if (found.folder === null) {
    throw unavailable(
      `${found.python} has no TensorFlow; install it there (${found.python} -m pip install tensorflow, or tensorflow-cpu), or name another Python: --python PYTHON`,
    );
  }
  const { folder } = found;
  const [library, framework] = ['libtensorflow_cc', 'libtensorflow_framework'].map((name) =>
    path.join(folder, process.platform === 'darwin' ? `${name}.2.dylib` : `${name}.so.2`),
  ) as [string, string];
  const include = path.join(folder, 'include');
  const missing = [library, framework, path.join(include, 'tensorflow/c/eager/c_api.h')].filter(
    (file) => !existsSync(file),
  );
  if (missing.length > 0) {
    throw unavailable(
      `${found.version || 'TensorFlow'} in ${folder} lacks ${missing.join(' and ')}; a package of TensorFlow 2.10 or newer from PyPI has them`,
    );
  }
  return { python: found.python, version: found.version, include, library, framework };
}

function defaultPython(): string {
  const environment = process.env['VIRTUAL_ENV'];
  if (environment === undefined || environment === '') return 'python3';
  return path.join(environment, 'bin/python');
}

const unavailable = (message: string): TensorsError => new TensorsError('ENGINE_UNAVAILABLE', message);
