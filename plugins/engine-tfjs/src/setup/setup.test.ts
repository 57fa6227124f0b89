import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildAddon } from './build-addon.js';
import { findTensorflow } from './find-tensorflow.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-tfjs-setup-'));

/** A program that answers as Python would. */
function python(name: string, body: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}
const answering = (name: string, answer: object): string => python(name, `echo '${JSON.stringify(answer)}'`);

describe('findTensorflow', () => {
  it('says which Python does not answer, and with what', () => {
    expect(() => findTensorflow(path.join(folder, 'none'))).toThrow(/none does not answer: .*ENOENT.*--python PYTHON/);
    expect(() => findTensorflow(python('old', 'echo "No module named importlib" >&2; exit 1'))).toThrow(
      /old does not answer: No module named importlib/,
    );
  });

  it('says how a Python without TensorFlow gets it', () => {
    const bare = answering('bare', { folder: null, version: '', python: '/env/bin/python' });
    expect(() => findTensorflow(bare)).toThrow(/\/env\/bin\/python has no TensorFlow; .*-m pip install tensorflow/);
  });

  it('names the files that are missing', () => {
    const empty = answering('empty', { folder, version: 'tensorflow 2.4.0', python: '/env/bin/python' });
    expect(() => findTensorflow(empty)).toThrow(/tensorflow 2\.4\.0 in .* lacks .*libtensorflow_cc.* and .*c_api\.h/);
  });
});

describe('buildAddon', () => {
  it('tells what the compiler said, and leaves nothing half built', () => {
    const broken = path.join(folder, 'package');
    const files = { include: folder, library: path.join(folder, 'l.so'), framework: path.join(folder, 'f.so') };
    const tensorflow = { python: 'python3', version: 'tensorflow 0', ...files };
    expect(() => buildAddon(broken, tensorflow)).toThrow(/tfjs_backend\.cc is missing: install the package again/);
    mkdirSync(path.join(broken, 'binding'), { recursive: true });
    for (const name of ['tfjs_backend.cc', 'tfjs_binding.cc'])
      writeFileSync(path.join(broken, 'binding', name), '#error "not this one"\n');
    mkdirSync(path.join(folder, 'tensorflow/c/eager'), { recursive: true });
    writeFileSync(path.join(folder, 'tensorflow/c/eager/c_api.h'), '#error "not this one"\n');
    expect(() => buildAddon(broken, tensorflow)).toThrow(/does not build the addon:[\s\S]*not this one/);
  });
});
