import { collectEntries, type Entry } from './entries.js';
import { PluginError, type PluginFault, type ReportFault } from './errors.js';
import { lifetimes, type Lifetime, type Plugin } from './plugin.js';
import { groupByKey, openScope, type Scope } from './scope.js';
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

/** Everything the plugins brought, created in dependency order. */
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
  /**
   * A scope for one command or run: a composition in which everything with this lifetime, or a shorter one, was created anew, and the
   * rest is this one's. Scopes end from the inside out.
   *
   * @throws PluginError PLUGINS_INVALID if something cannot be created; what was created is disposed of
   */
  begin(lifetime: Exclude<Lifetime, 'process'>): Composition;
  /**
   * Dispose of what was created for this scope, what depends on something before it. Every fault is collected; nothing is disposed of twice.
   *
   * @throws PluginError PLUGIN_FAILED with all that could not be disposed of
   */
  end(): Promise<void>;
}

/**
 * Bind and create what the plugins bring. Every fault is collected and reported in one PluginError PLUGINS_INVALID, each
 * with its plugin's name.
 */
export function compose(plugins: PluginList): Composition {
  const faults: PluginFault[] = [];
  const fault = reportTo(faults);
  const { registered, entries, warnings } = collectEntries(plugins, fault);
  checkDependencies(entries, fault);
  throwAny(faults);
  const process = openScope(entries, fault);
  checkCreated(process, faults);
  const kindOf = (entry: Entry): string => (process.of(entry) as { readonly kind: string }).kind;
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
  const compositionOf = (scope: Scope): Composition => {
    const all = <T>(point: Point<T>): readonly T[] => (scope.values(point.key) ?? []) as T[];
    return {
      plugins: composed,
      warnings,
      all,
      get<T>(token: Token<T>): T {
        const [value] = scope.values(token.key) ?? notProvided(token);
        return value as T;
      },
      find: (point, kind) => all(point).find((contribution) => contribution.kind === kind),
      begin(lifetime) {
        const found: PluginFault[] = [];
        const inner = scope.begin(lifetime, reportTo(found));
        checkCreated(inner, found);
        return compositionOf(inner);
      },
      async end() {
        const found: PluginFault[] = [];
        await scope.end(reportTo(found));
        if (found.length > 0)
          throw new PluginError(
            'PLUGIN_FAILED',
            `not all that plugins created was disposed of:\n${linesOf(found)}`,
            found,
          );
      },
    };
  };
  return compositionOf(process);
}

const reportTo =
  (faults: PluginFault[]): ReportFault =>
  (code, plugin, message, cause) => {
    faults.push(cause === undefined ? { code, plugin, message } : { code, plugin, message, cause });
  };

/** Of a scope that is not whole, what was created is disposed of. */
function checkCreated(scope: Scope, faults: readonly PluginFault[]): void {
  if (faults.length > 0) void scope.end(() => {}); // it never rejects, and the faults that are thrown here came first
  throwAny(faults);
}

function notProvided({ id }: Token<unknown>): never {
  throw new PluginError('NOT_PROVIDED', `no plugin provides the service ${id}`);
}

function throwAny(faults: readonly PluginFault[]): void {
  if (faults.length === 0) return;
  throw new PluginError('PLUGINS_INVALID', `the plugins do not fit together:\n${linesOf(faults)}`, faults);
}

const linesOf = (faults: readonly PluginFault[]): string =>
  faults.map(({ plugin, message }) => `  [${plugin}] ${message}`).join('\n');

/** Services that nobody provides, that live too short for what needs them, or that need each other in a circle. */
function checkDependencies(entries: readonly Entry[], fault: ReportFault): void {
  const byKey = groupByKey(entries);
  for (const entry of entries) {
    for (const dep of Object.values(entry.deps)) {
      const from = byKey.get(dep.key) ?? [];
      if (!dep.many && from.length === 0)
        fault(
          'MISSING_SERVICE',
          entry.plugin,
          `${entry.target.id} needs the service ${dep.id}, which no plugin provides`,
        );
      const shorter = from.find(({ lifetime }) => lifetimes.indexOf(lifetime) > lifetimes.indexOf(entry.lifetime));
      if (shorter !== undefined)
        fault(
          'LIFETIME',
          entry.plugin,
          `${entry.target.id} has the lifetime ${entry.lifetime} and needs ${dep.id}, which ${shorter.plugin} gives for a ${shorter.lifetime} only; register it with lifetime: '${shorter.lifetime}'`,
        );
    }
  }
  reportCycles(entries, byKey, fault);
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
