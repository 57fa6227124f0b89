import fc from 'fast-check';
import { beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  compose,
  definePlugin,
  PluginError,
  point,
  token,
  type Composition,
  type Lifetime,
  type Plugin,
  type PluginList,
} from './index.js';

interface Greeter {
  greet(): string;
}
interface Word {
  readonly kind: string;
  readonly text: string;
}
const greeter = token<Greeter>('test.greeter');
const words = point<Word>('test.words');

const word = (kind: string, name = `word-${kind}`): Plugin =>
  definePlugin({
    name,
    contract: 2,
    register: (registry) => registry.contribute(words, { create: () => ({ kind, text: kind.toUpperCase() }) }),
  });
const greeting = definePlugin({
  name: 'greeting',
  contract: 2,
  register: (registry) =>
    registry.provide(greeter, {
      deps: { words },
      create: ({ words }) => {
        expectTypeOf(words).toEqualTypeOf<readonly Word[]>();
        return { greet: () => words.map(({ text }) => text).join(' ') };
      },
    }),
});

const faultsOf = (plugins: PluginList) => {
  try {
    compose(plugins);
  } catch (error) {
    expect(error).toBeInstanceOf(PluginError);
    return (error as PluginError).faults.map(({ code, plugin, message }) => ({ code, plugin, message }));
  }
  return [];
};

describe('compose', () => {
  test('gives services and contributions, in the order of the plugins; presets and falsy entries are fine', () => {
    const composition = compose([[word('b'), [word('a')]], false, null, undefined, greeting]);
    expect(composition.get(greeter).greet()).toBe('B A');
    expect(composition.all(words).map(({ kind }) => kind)).toEqual(['b', 'a']);
    expect(composition.find(words, 'a')?.text).toBe('A');
    expect(composition.find(words, 'z')).toBeUndefined();
    expect(composition.warnings).toEqual([]);
  });

  test('a service of the wrong type does not compile', () => {
    const register: Plugin['register'] = (registry) => {
      // @ts-expect-error greet is missing
      registry.provide(greeter, { create: () => ({ nope: 1 }) });
      // @ts-expect-error text is missing; kind alone must not widen the point's type
      registry.contribute(words, { create: () => ({ kind: 'a' }) });
    };
    expect(register).toBeTypeOf('function');
  });

  test('a create that returns a promise is a fault', () => {
    const create = (async () => Promise.reject(new Error('late'))) as unknown as () => Greeter;
    const slow = definePlugin({
      name: 'slow',
      contract: 2,
      register: (registry) => registry.provide(greeter, { create }),
    });
    expect(faultsOf([slow])).toMatchObject([
      { code: 'CREATE_FAILED', plugin: 'slow', message: expect.stringContaining('promise') as string },
    ]);
  });

  test('reports every fault at once, each with its plugin', () => {
    const needy = definePlugin({
      name: 'needy',
      contract: 2,
      register: (registry) => registry.provide(token('test.needy'), { deps: { greeter }, create: () => 1 }),
    });
    const broken = definePlugin({
      name: 'broken',
      contract: 2,
      register: () => {
        throw new Error('no luck');
      },
    });
    const faults = faultsOf([word('a'), word('a'), needy, broken, (() => word('c')) as unknown as Plugin]);
    expect(faults.map(({ code, plugin }) => [code, plugin])).toEqual([
      ['DUPLICATE_PLUGIN', 'word-a'],
      ['REGISTER_FAILED', 'broken'],
      ['NOT_A_PLUGIN', 'anonymous'],
      ['MISSING_SERVICE', 'needy'],
    ]);
    expect(faults[1]!.message).toContain('no luck');
    expect(faults[2]!.message).toContain('call it');
    expect(faults[3]!.message).toContain('test.greeter');
  });

  test('two kinds alike, two providers, and a contribution without a kind', () => {
    expect(faultsOf([word('a', 'one'), word('a', 'two')])).toMatchObject([{ code: 'DUPLICATE_KIND', plugin: 'two' }]);
    const second = { ...greeting, name: 'second' };
    expect(faultsOf([greeting, second])).toMatchObject([
      { code: 'DUPLICATE_SERVICE', plugin: 'second', message: expect.stringContaining('greeting') as string },
    ]);
    expect(faultsOf([word('', 'silent')])).toMatchObject([{ code: 'CREATE_FAILED', plugin: 'silent' }]);
  });

  test('a create that throws is one fault, with its cause; what depends on it adds none', () => {
    const cause = new Error('cannot');
    const failing = definePlugin({
      name: 'failing',
      contract: 2,
      register: (registry) =>
        registry.contribute(words, {
          create: () => {
            throw cause;
          },
        }),
    });
    expect(faultsOf([failing, greeting])).toMatchObject([{ code: 'CREATE_FAILED', plugin: 'failing' }]);
    expect(() => compose([failing])).toThrow(expect.objectContaining({ cause }) as Error);
  });

  test('what is no plugin is told apart', () => {
    const list = [Promise.resolve(greeting), { default: () => greeting }, { name: 'half' }, 7] as unknown as PluginList;
    expect(faultsOf(list).map(({ plugin, message }) => `${plugin} ${message.split(';')[0]}`)).toEqual([
      'a promise is a promise',
      'a module is a whole module',
      'half has name "half" and a register that is undefined',
      '7 is a number',
    ]);
  });

  test('a registry is closed after register, and register is synchronous', () => {
    let kept: Parameters<Plugin['register']>[0] | undefined;
    compose([{ name: 'keeper', contract: 2, register: (registry) => void (kept = registry) }]);
    expect(() => kept!.provide(greeter, { create: () => ({ greet: () => '' }) })).toThrow(
      /after register\(\) had returned/,
    );
    expect(
      faultsOf([{ name: 'slow', contract: 2, register: (async () => {}) as unknown as Plugin['register'] }]),
    ).toMatchObject([{ code: 'REGISTER_FAILED' }]);
  });

  test('another contract, or none, is refused with both named; the plugin does not register', () => {
    let registered = 0;
    const of = (name: string, contract?: unknown) =>
      ({ name, contract, register: () => void (registered += 1) }) as unknown as Plugin;
    const faults = faultsOf([of('later', 3), of('earlier', 1), of('silent'), of('a-text', '1'), word('fine')]);
    expect(faults.map(({ code, plugin }) => [code, plugin])).toEqual(
      ['later', 'earlier', 'silent', 'a-text'].map((name) => ['CONTRACT_MISMATCH', name]),
    );
    expect(registered).toBe(0);
    expect(faults[0]!.message).toMatch(
      /written for contract 3, and @glulam\/plugin \d+\.\d+\.\d+\S* here has contract 2; update glulam/,
    );
    expect(faults[1]!.message).toMatch(/written for contract 1, .* has contract 2; update the plugin/);
    expect(faults[2]!.message).toContain('states no contract (got undefined)');
    expect(faults[2]!.message).toContain('contract: 2, register');
    // @ts-expect-error the compiler says the same to an author
    definePlugin({ name: 'x', contract: 3, register: () => {} });
    // @ts-expect-error and where there is none
    definePlugin({ name: 'x', register: () => {} });
  });

  test('a contribution without the parts of its point is told with its plugin, others with theirs', () => {
    interface Tool {
      readonly kind: string;
      readonly title: string;
      readonly schema: object;
      open(): void;
    }
    const tools = point<Tool>('test.tools', { title: 'text', schema: 'schema', open: 'function' });
    const whole = { kind: 'whole', title: 'A', schema: z.strictObject({}), open: () => {} };
    const tool = (name: string, changed: object) =>
      definePlugin({
        name,
        contract: 2,
        register: (registry) => registry.contribute(tools, { create: () => ({ ...whole, kind: name, ...changed }) }),
      });
    expect(faultsOf([tool('a', {}), tool('b', {})])).toEqual([]);
    const faults = faultsOf([
      tool('fine', {}),
      tool('untitled', { title: 7 }),
      tool('shut', { open: undefined }),
      tool('bare', { schema: {} }),
      tool('old', { schema: { safeParse: () => {}, _def: {} } }),
      tool('none', { schema: null }),
    ]);
    expect(faults.map(({ code, plugin, message }) => [code, plugin, message.split(': ')[1]])).toEqual([
      ['CREATE_FAILED', 'untitled', 'title is a number; expected a text'],
      ['CREATE_FAILED', 'shut', 'open is undefined; expected a function'],
      ['CREATE_FAILED', 'bare', 'schema is an object; expected a schema of zod 4, such as z.strictObject({ ... })'],
      ['CREATE_FAILED', 'old', 'schema is a schema of zod 3; expected one of zod 4'],
      ['CREATE_FAILED', 'none', 'schema is null; expected a schema of zod 4, such as z.strictObject({ ... })'],
    ]);
  });

  test('something else in place of a token is told with the plugin', () => {
    const nothing = undefined as unknown as typeof words;
    const plugin = (name: string, register: Plugin['register']) => definePlugin({ name, contract: 2, register });
    const faults = faultsOf([
      plugin('target', (registry) => registry.contribute(nothing, { create: () => ({ kind: 'a', text: '' }) })),
      plugin('dep', (registry) =>
        registry.provide(greeter, { deps: { nothing }, create: () => ({ greet: () => '' }) }),
      ),
    ]);
    expect(faults.map(({ code, plugin }) => [code, plugin])).toEqual([
      ['REGISTER_FAILED', 'target'],
      ['REGISTER_FAILED', 'dep'],
    ]);
    expect(faults[1]!.message).toContain('registers with undefined in place of a token');
  });

  test('says what each plugin brought', () => {
    expect(compose([greeting, word('a'), { name: 'quiet', contract: 2, register: () => {} }]).plugins).toEqual([
      { name: 'greeting', contract: 2, provides: ['test.greeter'], contributes: [] },
      { name: 'word-a', contract: 2, provides: [], contributes: [{ point: 'test.words', kind: 'a' }] },
      { name: 'quiet', contract: 2, provides: [], contributes: [] },
    ]);
  });

  test('two copies of a core package are a warning', () => {
    const copy = point<Word>('test.words');
    const other = definePlugin({
      name: 'other',
      contract: 2,
      register: (registry) => registry.contribute(copy, { create: () => ({ kind: 'b', text: '' }) }),
    });
    const composition = compose([word('a'), other]);
    expect(composition.all(words)).toHaveLength(2);
    expect(composition.warnings).toEqual([expect.stringContaining('word-a and other')]);
  });

  test('random graphs: cycles and missing services are found exactly, else each create runs once, dependencies first', () => {
    const graph = fc
      .integer({ min: 1, max: 7 })
      .chain((size) =>
        fc.tuple(fc.constant(size), fc.array(fc.tuple(fc.nat(size), fc.nat(size - 1)), { maxLength: 12 })),
      );
    fc.assert(
      fc.property(graph, ([size, edges]) => {
        // Token `size` is provided by nobody.
        const tokens = Array.from({ length: size + 1 }, (_, i) => token<number>(`graph.${i}`));
        const needs = tokens.map((_, i) => [...new Set(edges.filter(([, from]) => from === i).map(([to]) => to))]);
        const created: number[] = [];
        const plugins = tokens.slice(0, size).map((each, i) =>
          definePlugin({
            name: `p${i}`,
            contract: 2,
            register: (registry) =>
              registry.provide(each, {
                deps: Object.fromEntries(needs[i]!.map((need) => [`d${need}`, tokens[need]!])),
                create: () => created.push(i),
              }),
          }),
        );
        const reaches = (from: number, to: number, seen = new Set<number>()): boolean =>
          (needs[from] ?? []).some(
            (next) => next === to || (!seen.has(next) && (seen.add(next), reaches(next, to, seen))),
          );
        const cyclic = tokens.some((_, i) => reaches(i, i));
        const missing = needs.slice(0, size).filter((list) => list.includes(size)).length;
        const codes = faultsOf(plugins).map(({ code }) => code);
        expect(codes.includes('CYCLE')).toBe(cyclic);
        expect(codes.filter((code) => code === 'MISSING_SERVICE')).toHaveLength(missing);
        if (codes.length > 0) return;
        expect([...created].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
        needs.forEach((list, i) =>
          list.forEach((need) => expect(created.indexOf(need)).toBeLessThan(created.indexOf(i))),
        );
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  describe('lifetimes', () => {
    const clock = token<{ readonly name: string; readonly around: string | undefined }>('test.clock');
    const log: string[] = [];
    let made = 0;
    const clockOf = (lifetime?: Lifetime) =>
      definePlugin({
        name: 'clock',
        contract: 2,
        register: (registry) =>
          registry.provide(clock, {
            ...(lifetime === undefined ? {} : { lifetime }),
            create: (_, outer) => ({ name: `clock ${++made}`, around: outer?.name }),
            dispose: ({ name }) => void log.push(name),
          }),
      });
    const reader = (lifetime: Lifetime, kind: string = lifetime) =>
      definePlugin({
        name: `reader-${kind}`,
        contract: 2,
        register: (registry) =>
          registry.contribute(words, {
            lifetime,
            deps: { clock },
            create: ({ clock }) => ({ kind, text: clock.name }),
            dispose: ({ kind }) => void log.push(kind),
          }),
      });
    const textsOf = (composition: Composition) => composition.all(words).map(({ kind, text }) => `${kind}: ${text}`);
    beforeEach(() => {
      made = 0;
      log.length = 0;
    });

    test('what lives for a run or command is created anew for each, the rest once', () => {
      const composition = compose([clockOf('command'), reader('run'), word('always'), reader('command')]);
      expect(textsOf(composition)).toEqual(['run: clock 1', 'always: ALWAYS', 'command: clock 1']);
      const [first, second] = [composition.begin('command'), composition.begin('command')];
      expect(textsOf(first)).toEqual(['run: clock 2', 'always: ALWAYS', 'command: clock 2']);
      expect(second.get(clock)).toEqual({ name: 'clock 3', around: 'clock 1' });
      const runs = [first.begin('run'), first.begin('run')];
      for (const run of runs) {
        expect(run.get(clock)).toBe(first.get(clock));
        expect(run.find(words, 'command')).toBe(first.find(words, 'command'));
        expect(run.find(words, 'always')).toBe(composition.find(words, 'always'));
        expect(run.find(words, 'run')).not.toBe(first.find(words, 'run'));
      }
      expect(runs[0]!.find(words, 'run')).not.toBe(runs[1]!.find(words, 'run'));
      expect(runs[0]!.plugins).toEqual(composition.plugins);
    });

    test('a scope that ends disposes of its own alone, what depends on something first, and once', async () => {
      const composition = compose([clockOf('command'), reader('run'), reader('command')]);
      const command = composition.begin('command');
      const run = command.begin('run');
      await run.end();
      expect(log).toEqual(['run']);
      await run.end();
      await command.end();
      expect(log).toEqual(['run', 'command', 'run', 'clock 2']);
      await composition.end();
      expect(log.slice(4)).toEqual(['command', 'run', 'clock 1']);
    });

    test('what cannot be disposed of is reported with its plugin, and everything else is disposed of', async () => {
      const bad = (name: string) =>
        definePlugin({
          name,
          contract: 2,
          register: (registry) =>
            registry.contribute(words, {
              lifetime: 'run',
              create: () => ({ kind: name, text: '' }),
              dispose: () => Promise.reject(new Error(`${name} is stuck`)),
            }),
        });
      const run = compose([clockOf('run'), bad('a'), bad('b')]).begin('run');
      await expect(run.end()).rejects.toMatchObject({
        code: 'PLUGIN_FAILED',
        faults: [
          { code: 'DISPOSE_FAILED', plugin: 'b', message: 'disposing of test.words failed: b is stuck' },
          { code: 'DISPOSE_FAILED', plugin: 'a' },
        ],
      });
      expect(log).toEqual(['clock 2']);
    });

    test('what needs something that lives shorter is a fault, of services and of contributions', () => {
      const needsWords = definePlugin({
        name: 'counter',
        contract: 2,
        register: (registry) =>
          registry.provide(token<number>('test.count'), { deps: { words }, create: ({ words }) => words.length }),
      });
      const faults = faultsOf([clockOf('run'), reader('command'), reader('run'), needsWords]);
      expect(faults.map(({ code, plugin }) => [code, plugin])).toEqual([
        ['LIFETIME', 'reader-command'],
        ['LIFETIME', 'counter'],
      ]);
      expect(faults[0]!.message).toBe(
        "test.words has the lifetime command and needs test.clock, which clock gives for a run only; register it with lifetime: 'run'",
      );
      expect(faultsOf([{ ...clockOf('day' as Lifetime) }])).toMatchObject([
        { code: 'REGISTER_FAILED', message: expect.stringContaining('expected process, command, run') as string },
      ]);
    });

    test('a scope in which something fails is none, and what was created for it is disposed of', () => {
      let fails = false;
      const moody = definePlugin({
        name: 'moody',
        contract: 2,
        register: (registry) =>
          registry.contribute(words, {
            lifetime: 'run',
            create: () => {
              if (fails) throw new Error('not today');
              return { kind: 'moody', text: '' };
            },
          }),
      });
      const composition = compose([clockOf('run'), moody]);
      fails = true;
      expect(() => composition.begin('run')).toThrow(
        expect.objectContaining({
          faults: [expect.objectContaining({ code: 'CREATE_FAILED', plugin: 'moody' })],
        }) as Error,
      );
      expect(log).toEqual(['clock 2']);
      fails = false;
      expect(composition.begin('run').find(words, 'moody')).toBeDefined();
    });
  });
});
