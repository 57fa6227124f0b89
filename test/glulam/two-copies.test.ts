import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/expanded.js';

// The built packages, as npm installs them: a plugin has a node_modules of its own with a second copy.
const work = mkdtempSync(path.join(tmpdir(), 'glulam-copies-'));
const first = pathToFileURL(path.join(root, 'packages/tensors/dist/index.js')).href;
let second: string;

function install(name: string, change: (source: string) => string = (source) => source): string {
  const modules = path.join(work, name, 'node_modules');
  const tensors = path.join(modules, '@glulam/tensors');
  mkdirSync(path.join(modules, '@glulam'), { recursive: true });
  cpSync(path.join(root, 'packages/tensors/dist'), path.join(tensors, 'dist'), { recursive: true });
  writeFileSync(
    path.join(tensors, 'package.json'),
    JSON.stringify({ name: '@glulam/tensors', version: '0.9.0', type: 'module' }),
  );
  const file = path.join(tensors, 'dist/contract/tensor.js');
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  for (const name of ['plugin', 'files'])
    symlinkSync(path.join(root, 'packages', name), path.join(modules, '@glulam', name));
  symlinkSync(path.join(root, 'node_modules/zod'), path.join(modules, 'zod'));
  return pathToFileURL(path.join(tensors, 'dist/index.js')).href;
}

/** What a module prints that has both copies, as A and B. */
function evaluate(body: string, other = second): unknown {
  const script = `const A = await import(${JSON.stringify(first)}); let B, refused; try { B = await import(${JSON.stringify(other)}); } catch (error) { refused = error; }
    const print = (value) => console.log(JSON.stringify(value));
    ${body}`;
  const out = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  return JSON.parse(out);
}

beforeAll(() => {
  second = install('plugin');
});
afterAll(() => rmSync(work, { recursive: true }));

test.each([
  ['A', 'B'],
  ['B', 'A'],
])('a scope of copy %s releases the tensors of an engine of copy %s', (scopes, engines) => {
  const body = `
    const engine = ${engines}.createReferenceEngine();
    const kept = ${scopes}.scope(() => {
      const x = engine.upload(Float32Array.of(1, 2), [2]);
      const inner = ${engines}.scope(() => engine.binary('add', x, x));
      return { result: ${scopes}.scope(() => engine.binary('mul', inner, x)) };
    });
    const during = engine.memory().tensors;
    const values = [...(await engine.read(kept.result))];
    kept.result.release();
    print({ during, values, after: engine.memory().tensors, bytes: engine.memory().bytes });`;
  expect(evaluate(body)).toEqual({ during: 1, values: [2, 8], after: 0, bytes: 0 });
});

test('operations and a tape of one copy on an engine of the other leave nothing behind', () => {
  const body = `
    const engine = B.createReferenceEngine();
    const ops = A.createOperations(engine);
    const x = A.detach(engine.upload(Float32Array.of(1, 2, 3, 4), [2, 2]));
    const weight = A.detach(engine.upload(Float32Array.of(1, 0, 0, 1), [2, 2]));
    const tape = A.createTape(engine);
    tape.watch(weight);
    const loss = A.scope(() => ops.recording(tape, () => ops.sumAll(ops.linear(x, weight, undefined, 'float32'))));
    const gradients = await tape.backward(loss);
    const values = [...(await engine.read(gradients.get(weight)))];
    for (const tensor of [loss, x, weight, ...gradients.values()]) tensor.release();
    print({ values, after: engine.memory().tensors });`;
  expect(evaluate(body)).toEqual({ values: [4, 6, 4, 6], after: 0 });
});

test('tensors and errors of either copy are known to the other', () => {
  const body = `
    const x = B.createReferenceEngine().full([1], 1);
    x.release();
    let error;
    try { x.release(); } catch (caught) { error = caught; }
    print([B !== A, x instanceof A.Tensor, error instanceof A.TensorsError, {} instanceof A.Tensor, new Error('x') instanceof A.TensorsError, error.code]);`;
  expect(evaluate(body)).toEqual([true, true, true, false, false, 'DISPOSED']);
});

test('a copy that counts tensors in another way is refused when it is loaded', () => {
  const other = install('other', (source) => source.replace('const protocol = 1;', 'const protocol = 2;'));
  expect(evaluate('print({ code: refused.code, message: refused.message });', other)).toEqual({
    code: 'COPIES_DIFFER',
    message: expect.stringMatching(
      /got one of protocol 1 and one of protocol 2, expected the same; npm ls @glulam\/tensors/,
    ) as string,
  });
});
