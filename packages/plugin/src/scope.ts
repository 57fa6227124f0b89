import { Container } from 'inversify';
import { checkContributions } from './check-contributions.js';
import type { Entry } from './entries.js';
import type { ReportFault } from './errors.js';
import { guardContribution } from './guard.js';
import { lifetimes, type Lifetime } from './plugin.js';

/** What was created for one scope, with what it has of the scopes around it. */
export interface Scope {
  /** By token or point, in the order of the plugins; contributions name their plugin when they fail. */
  values(key: symbol): readonly unknown[] | undefined;
  /** The value of one entry, as its plugin created it. */
  of(entry: Entry): unknown;
  /** The same as `values` has it. */
  guarded(entry: Entry): unknown;
  /** A scope within this one, with everything anew that lives no longer than `lifetime`. */
  begin(lifetime: Lifetime, fault: ReportFault): Scope;
  /** Dispose of what this scope created, the last first. */
  end(fault: ReportFault): Promise<void>;
}

/** The entries of each token and point, in the order of the plugins. */
export function groupByKey(entries: readonly Entry[]): ReadonlyMap<symbol, readonly Entry[]> {
  const groups = new Map<symbol, Entry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.target.key);
    if (group === undefined) groups.set(entry.target.key, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** Create everything. The only user of inversify: it binds and resolves what `compose` checked. */
export function openScope(entries: readonly Entry[], fault: ReportFault): Scope {
  const groups = groupByKey(entries);
  // Each entry has a name of its own: a scope binds some contributions to a point anew, and has the others from around it.
  const names = new Map(entries.map((entry) => [entry, Symbol(entry.target.id)]));
  const needs = new Map(
    entries.map((entry) => [
      entry,
      Object.entries(entry.deps).map(([name, dep]) => ({ name, many: dep.many, from: groups.get(dep.key) ?? [] })),
    ]),
  );

  const open = (
    lifetime: Lifetime,
    outer: Scope | undefined,
    parent: Container | undefined,
    fault: ReportFault,
  ): Scope => {
    const container = new Container({ defaultScope: 'Singleton', ...(parent === undefined ? {} : { parent }) });
    const own = entries.filter((entry) => lifetimes.indexOf(entry.lifetime) >= lifetimes.indexOf(lifetime));
    const created: { readonly entry: Entry; readonly value: unknown }[] = [];
    const broken = new Set<Entry>();
    for (const entry of own) {
      const needed = needs.get(entry)!;
      const create = (...values: unknown[]): unknown => {
        // What depends on something that failed would fail for the same reason: one report is enough.
        if (needed.some(({ from }) => from.some((each) => broken.has(each)))) return void broken.add(entry);
        try {
          const deps = needed.map(({ name, many, from }) => {
            const given = values.splice(0, from.length);
            return [name, many ? given : given[0]] as const;
          });
          const value = entry.create(Object.fromEntries(deps), outer?.of(entry));
          if (!isThenable(value)) {
            created.push({ entry, value });
            return value;
          }
          value.then(undefined, () => undefined); // reported below; without this Node would end the process over it
          fault(
            'CREATE_FAILED',
            entry.plugin,
            `creating ${entry.target.id} returned a promise; create is synchronous, and slow work waits for open()`,
          );
        } catch (cause) {
          fault('CREATE_FAILED', entry.plugin, `creating ${entry.target.id} failed: ${describe(cause)}`, cause);
        }
        broken.add(entry);
        return undefined;
      };
      container
        .bind(names.get(entry)!)
        .toResolvedValue(create, needed.flatMap(({ from }) => from.map((each) => names.get(each)!)) as never);
    }
    const values = new Map(own.map((entry) => [entry, container.get<unknown>(names.get(entry)!)]));
    const valueOf = (entry: Entry): unknown => (values.has(entry) ? values.get(entry) : outer?.of(entry));
    for (const group of groups.values()) {
      if (!group[0]!.target.many || !group.some((entry) => values.has(entry))) continue;
      if (!group.some((entry) => broken.has(entry))) checkContributions(group, group.map(valueOf), fault);
    }
    const guarded = new Map<Entry, unknown>();
    const guard = (entry: Entry): unknown => {
      const { target, plugin } = entry;
      if (!target.many || !values.has(entry)) return target.many ? outer!.guarded(entry) : valueOf(entry);
      const value = valueOf(entry) as { readonly kind: string };
      const known = guarded.get(entry) ?? guardContribution(value, { plugin, point: target.id, kind: value.kind });
      guarded.set(entry, known);
      return known;
    };
    const scope: Scope = {
      values: (key) => groups.get(key)?.map(guard),
      of: valueOf,
      guarded: guard,
      begin: (next, report) => open(next, scope, container, report),
      async end(report) {
        for (const { entry, value } of created.splice(0).toReversed()) {
          try {
            await entry.dispose?.(value);
          } catch (cause) {
            report('DISPOSE_FAILED', entry.plugin, `disposing of ${entry.target.id} failed: ${describe(cause)}`, cause);
          }
        }
      },
    };
    return scope;
  };
  return open('process', undefined, undefined, fault);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
