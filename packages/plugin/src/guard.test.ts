import { expect, test } from 'vitest';
import { compose } from './compose.js';
import { PluginError } from './errors.js';
import { guardCall, guardOpened, wrongResult } from './guard.js';
import { definePlugin } from './plugin.js';
import { point } from './token.js';

interface Tool {
  readonly kind: string;
  readonly size?: number;
  work(value: unknown): unknown;
}
const tools = point<Tool>('test.tools', { work: 'function' });

/** A tool that throws what it is given, as a plugin contributes it. */
function composed(tool: Tool): Tool {
  const plugin = definePlugin({
    name: 'some-plugin',
    contract: 2,
    register: (registry) => registry.contribute(tools, { create: () => tool }),
  });
  return compose([plugin]).find(tools, tool.kind)!;
}
const thrower: Tool = {
  kind: 'hammer',
  work(value) {
    throw value;
  },
};
class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code = 'REFUSED';
}

test('what fails in a method names the plugin, the kind, the point and the method, and is the cause', () => {
  const fault = new TypeError('no handle');
  expect(() => composed(thrower).work(fault)).toThrow(
    expect.objectContaining({
      code: 'PLUGIN_FAILED',
      message: 'the plugin some-plugin failed in work() of its "hammer" (test.tools): no handle',
      cause: fault,
    }) as Error,
  );
});

test.each([
  ['a number', 5, /: it threw 5, which is no Error$/],
  ['nothing', undefined, /: it threw undefined, which is no Error$/],
  ["an error of Node's with a code", Object.assign(new Error('ENOENT: no x'), { code: 'ENOENT' }), /: ENOENT: no x$/],
  ['a TypeError with a code', Object.assign(new TypeError('bad'), { code: 'ERR_INVALID_ARG_TYPE' }), /: bad$/],
])('%s is named as well', (_, value, message) => {
  expect(() => composed(thrower).work(value)).toThrow(PluginError);
  expect(() => composed(thrower).work(value)).toThrow(message);
});

test.each([
  ['a refusal with a class and a code', new CodedError('refused')],
  ['an abortion', new DOMException('stop', 'AbortError')],
])('%s is passed on as it is', (_, value) => {
  expect(() => composed(thrower).work(value)).toThrow(value);
});

test('a promise that rejects is named, one that resolves is passed on', async () => {
  const tool = composed({
    kind: 'saw',
    work: (value) => (value === 1 ? Promise.reject(new Error('stuck')) : Promise.resolve(value)),
  });
  await expect(tool.work(1)).rejects.toThrow(
    'the plugin some-plugin failed in work() of its "saw" (test.tools): stuck',
  );
  await expect(tool.work(2)).resolves.toBe(2);
});

test('methods of a class keep their object, and values are read when they are asked for', () => {
  class Plane {
    readonly kind = 'plane';
    #cuts = 0;
    get size() {
      return this.#cuts;
    }
    work() {
      this.#cuts += 1;
      return this.#cuts;
    }
  }
  const tool = composed(new Plane());
  expect([tool.work(undefined), tool.work(undefined), tool.size]).toEqual([1, 2, 2]);
  expect({ ...tool }).toMatchObject({ kind: 'plane', size: 2 });
});

test('what a contribution opened is guarded by the name of its plugin', () => {
  const tool = composed({ kind: 'vice', work: () => undefined });
  const opened = guardOpened(tool, { turn: () => (undefined as unknown as string).length });
  expect(() => opened.turn()).toThrow(/^the plugin some-plugin failed in turn\(\) of its "vice" \(test\.tools\): /);
  expect(() => guardCall(tool, 'the schema', () => JSON.parse('{') as unknown)).toThrow(
    /failed in the schema of its "vice"/,
  );
});

test('what no plugin brought is left as it is', () => {
  const opened = { turn: () => 1 };
  expect(guardOpened(thrower, opened)).toBe(opened);
  expect(() => guardCall(thrower, 'the schema', () => JSON.parse('{') as unknown)).toThrow(SyntaxError);
});

test('a wrong result names the plugin too, of a contribution and of what it opened', () => {
  const tool = composed({ kind: 'lathe', work: () => undefined });
  const opened = guardOpened(tool, { turn: () => 1 });
  for (const object of [tool, opened])
    expect(wrongResult(object, 'turn()', 'it gave 1')).toMatchObject({
      code: 'PLUGIN_FAILED',
      message: 'the plugin some-plugin failed in turn() of its "lathe" (test.tools): it gave 1',
    });
  expect(wrongResult({}, 'turn()', 'it gave 1').message).toBe('turn(): it gave 1');
});
