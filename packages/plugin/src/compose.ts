import { Container } from 'inversify';
import { checkContributions } from './check-contributions.js';
import { collectEntries, type Entry } from './entries.js';
import { PluginError, type PluginFault, type ReportFault } from './errors.js';
import { guardContribution } from './guard.js';
import type { Plugin } from './plugin.js';
import type { Point, Token } from './token.js';

/** What a config lists: plugins, presets (arrays of them), and falsy entries, which are ignored. */
export type PluginList = readonly (Plugin | PluginList | false | null | undefined | '' | 0)[];

/** What one plugin brought. */
export interface ComposedPlugin {
  /** As the plugin says it. */
  readonly name: string;
  /** The version of the plugin contract that it was written for. */
  readonly contract: number;
  /** Ids of the services that it provides. */
  readonly provides: readonly string[];
  /** Its contributions, by the id of their point and their kind. */
  readonly contributes: readonly { readonly point: string; readonly kind: string }[];
}

/** Everything the plugins brought, created once, in dependency order. */
export interface Composition {
  /** In the order of the plugins. */
  readonly plugins: readonly ComposedPlugin[];
  /** The service of a token. Throws PluginError NOT_PROVIDED where no plugin provides it. */
  get<T>(token: Token<T>): T;
  /** In the order of the plugins. */
  all<T>(point: Point<T>): readonly T[];
  /** The contribution of this kind; undefined: there is none. */
  find<T extends { readonly kind: string }>(point: Point<T>, kind: string): T | undefined;
  /** What is odd but works, such as two installed copies of a core package. */
  readonly warnings: readonly string[];
}

/**
 * Bind and create what the plugins bring. Every fault is collected and reported in one PluginError PLUGINS_INVALID, each
 * with its plugin's name. The only importer of inversify: it binds and resolves what was checked here.
 */
export function compose(plugins: PluginList): Composition {
  const faults: PluginFault[] = [];
  const fault: ReportFault = (code, plugin, message, cause) => {
    faults.push(cause === undefined ? { code, plugin, message } : { code, plugin, message, cause });
  };
  const { registered, entries, warnings } = collectEntries(plugins, fault);
  const byKey = groupByKey(entries);

  for (const entry of entries) {
    for (const dep of Object.values(entry.deps)) {
      if (!dep.many && !byKey.has(dep.key)) {
        fault(
          'MISSING_SERVICE',
          entry.plugin,
          `${entry.target.id} needs the service ${dep.id}, which no plugin provides`,
        );
      }
    }
  }
  reportCycles(entries, byKey, fault);
  throwAny(faults);

  const container = new Container({ defaultScope: 'Singleton' });
  const broken = new Set<symbol>();
  for (const entry of entries) {
    const names = Object.keys(entry.deps);
    const wanted = Object.values(entry.deps).map((dep) =>
      dep.many
        ? { serviceIdentifier: dep.key, isMultiple: true as const, optional: true as const }
        : { serviceIdentifier: dep.key },
    );
    container.bind(entry.target.key).toResolvedValue((...values: unknown[]) => {
      // What depends on something that failed would fail for the same reason: one report is enough.
      if (Object.values(entry.deps).some((dep) => broken.has(dep.key))) {
        broken.add(entry.target.key);
        return undefined;
      }
      try {
        const value = entry.create(Object.fromEntries(values.map((value, i) => [names[i]!, value])));
        if (!isThenable(value)) return value;
        broken.add(entry.target.key);
        value.then(undefined, () => undefined); // reported below; without this Node would end the process over it
        fault(
          'CREATE_FAILED',
          entry.plugin,
          `creating ${entry.target.id} returned a promise; create is synchronous, and slow work waits for open()`,
        );
        return undefined;
      } catch (cause) {
        broken.add(entry.target.key);
        fault('CREATE_FAILED', entry.plugin, `creating ${entry.target.id} failed: ${describe(cause)}`, cause);
        return undefined;
      }
    }, wanted as never);
  }
  const created = new Map([...byKey.keys()].map((key) => [key, container.getAll<unknown>(key)]));
  for (const [key, group] of byKey) {
    if (group[0]!.target.many && !broken.has(key)) checkContributions(group, created.get(key)!, fault);
  }
  throwAny(faults);
  for (const [key, group] of byKey) {
    const { id, many } = group[0]!.target;
    if (!many) continue;
    const contributions = created.get(key)! as { readonly kind: string }[];
    created.set(
      key,
      contributions.map((each, i) => guardContribution(each, { plugin: group[i]!.plugin, point: id, kind: each.kind })),
    );
  }

  const all = <T>(point: Point<T>): readonly T[] => (created.get(point.key) ?? []) as T[];
  const kindOf = (entry: Entry): string =>
    (created.get(entry.target.key)![byKey.get(entry.target.key)!.indexOf(entry)] as { readonly kind: string }).kind;
  const composed = registered.map(({ name, contract }): ComposedPlugin => {
    const own = entries.filter(({ plugin }) => plugin === name);
    return {
      name,
      contract,
      provides: own.filter(({ target }) => !target.many).map(({ target }) => target.id),
      contributes: own
        .filter(({ target }) => target.many)
        .map((entry) => ({ point: entry.target.id, kind: kindOf(entry) })),
    };
  });
  return {
    plugins: composed,
    warnings,
    all,
    get<T>(token: Token<T>): T {
      const [value] = created.get(token.key) ?? [];
      if (!created.has(token.key)) throw new PluginError('NOT_PROVIDED', `no plugin provides the service ${token.id}`);
      return value as T;
    },
    find: (point, kind) => all(point).find((contribution) => contribution.kind === kind),
  };
}

function throwAny(faults: readonly PluginFault[]): void {
  if (faults.length === 0) return;
  const lines = faults.map(({ plugin, message }) => `  [${plugin}] ${message}`);
  throw new PluginError('PLUGINS_INVALID', `the plugins do not fit together:\n${lines.join('\n')}`, faults);
}

/** Depth first over "needs"; each cycle is reported once, with the plugins along it. */
function reportCycles(
  entries: readonly Entry[],
  byKey: ReadonlyMap<symbol, readonly Entry[]>,
  fault: ReportFault,
): void {
  const state = new Map<symbol, 'open' | 'done'>();
  const path: Entry[] = [];
  const visit = (key: symbol): void => {
    if (state.get(key) === 'done') return;
    if (state.get(key) === 'open') {
      const loop = path.slice(path.findIndex(({ target }) => target.key === key));
      const steps = [...loop, loop[0]!].map(({ target, plugin }) => `${target.id} (${plugin})`);
      fault('CYCLE', loop[0]!.plugin, `services need each other in a circle: ${steps.join(' -> ')}`);
      return;
    }
    state.set(key, 'open');
    for (const entry of byKey.get(key) ?? []) {
      path.push(entry);
      for (const dep of Object.values(entry.deps)) visit(dep.key);
      path.pop();
    }
    state.set(key, 'done');
  };
  for (const { target } of entries) visit(target.key);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function groupByKey(entries: readonly Entry[]): ReadonlyMap<symbol, readonly Entry[]> {
  const groups = new Map<symbol, Entry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.target.key);
    if (group === undefined) groups.set(entry.target.key, [entry]);
    else group.push(entry);
  }
  return groups;
}
