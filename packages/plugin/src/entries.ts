import type { PluginList } from './compose.js';
import { PluginError, type ReportFault } from './errors.js';
import { copyWarnings, loadedVersion } from './loaded-copies.js';
import {
  lifetimes,
  pluginContract,
  type Deps,
  type Lifetime,
  type Plugin,
  type Registry,
  type Spec,
} from './plugin.js';
import type { Point, Token } from './token.js';

/** One `provide` or `contribute` of one plugin. */
export interface Entry {
  readonly plugin: string;
  readonly target: Token<unknown> | Point<unknown>;
  readonly lifetime: Lifetime;
  readonly deps: Deps;
  create(deps: Readonly<Record<string, unknown>>, outer: unknown): unknown;
  readonly dispose: ((value: unknown) => void | Promise<void>) | undefined;
}

/** The plugins that registered, what each brings, and what is odd but works. */
interface Collected {
  readonly registered: readonly Plugin[];
  readonly entries: readonly Entry[];
  readonly warnings: readonly string[];
}

/** Let every plugin register, in order, and note what it brings. */
export function collectEntries(plugins: PluginList, fault: ReportFault): Collected {
  const registered: Plugin[] = [];
  const entries: Entry[] = [];
  const warnings: string[] = [];
  const names = new Set<string>();
  const providers = new Map<symbol, string>();
  const firstSeen = new Map<symbol, { target: Token<unknown> | Point<unknown>; plugin: string }>();

  const meet = (target: Token<unknown> | Point<unknown>, plugin: string): void => {
    const first = firstSeen.get(target.key);
    if (first === undefined) firstSeen.set(target.key, { target, plugin });
    else if (first.target !== target) {
      const warning = `${target.id} exists twice: ${first.plugin} and ${plugin} import different copies of its package; it works, but check the versions with npm ls`;
      if (!warnings.includes(warning)) warnings.push(warning);
    }
  };

  for (const plugin of flatten(plugins)) {
    const wrong = notAPlugin(plugin);
    if (wrong !== undefined) {
      fault('NOT_A_PLUGIN', wrong.name, wrong.message);
      continue;
    }
    const { name } = plugin;
    if (names.has(name)) {
      fault('DUPLICATE_PLUGIN', name, 'is listed twice; list it once');
      continue;
    }
    names.add(name);
    const otherContract = contractFault(plugin);
    if (otherContract !== undefined) {
      fault('CONTRACT_MISMATCH', name, otherContract);
      continue;
    }
    registered.push(plugin);
    let open = true;
    const add = (target: Token<unknown> | Point<unknown>, spec: Spec<unknown, Deps>): void => {
      if (!open) {
        throw new PluginError(
          'REGISTRY_CLOSED',
          `[${name}] used its registry after register() had returned; register everything in it`,
        );
      }
      const wrong = [target, ...Object.values(spec.deps ?? {})].filter((each) => !isTarget(each));
      if (wrong.length > 0) {
        // Mostly modules that import each other in a circle.
        fault(
          'REGISTER_FAILED',
          name,
          `registers with ${String(wrong[0])} in place of a token or point; import it from the package that exports it`,
        );
        return;
      }
      meet(target, name);
      for (const dep of Object.values(spec.deps ?? {})) meet(dep, name);
      const owner = providers.get(target.key);
      if (!target.many && owner !== undefined) {
        fault('DUPLICATE_SERVICE', name, `provides ${target.id}, which ${owner} provides already; remove one of them`);
        return;
      }
      if (!target.many) providers.set(target.key, name);
      const { lifetime = 'process', deps = {} } = spec;
      if (!lifetimes.includes(lifetime)) {
        fault(
          'REGISTER_FAILED',
          name,
          `registers ${target.id} with the lifetime ${JSON.stringify(lifetime)}; expected ${lifetimes.join(', ')}`,
        );
        return;
      }
      entries.push({
        ...{ plugin: name, target, lifetime, deps },
        create: (values, outer) => spec.create(values as never, outer),
        dispose: spec.dispose && ((value) => spec.dispose!(value)),
      });
    };
    const registry: Registry = {
      provide: (target, spec) => add(target, spec),
      contribute: (target, spec) => add(target, spec),
    };
    try {
      const result: unknown = plugin.register(registry);
      if (result instanceof Promise) {
        fault(
          'REGISTER_FAILED',
          name,
          'register() returned a promise; it is synchronous, and slow work waits for open()',
        );
        result.catch(() => {}); // already reported; without this Node would end the process over it
      }
    } catch (cause) {
      fault(
        'REGISTER_FAILED',
        name,
        `register() failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      );
    }
    open = false;
  }
  // Where a package is loaded twice its tokens are: one warning says both.
  const copies = copyWarnings();
  return { registered, entries, warnings: copies.length > 0 ? copies : warnings };
}

/** Why a plugin is not asked to register: its author had other core packages before them. */
function contractFault({ contract }: { readonly contract?: unknown }): string | undefined {
  if (contract === pluginContract) return undefined;
  const here = `@glulam/plugin ${loadedVersion('@glulam/plugin')} here has contract ${pluginContract}`;
  if (typeof contract !== 'number')
    return `states no contract (got ${String(contract)}), and ${here}; its author writes definePlugin({ name, contract: ${pluginContract}, register })`;
  const older = contract < pluginContract ? 'the plugin' : 'glulam';
  return `was written for contract ${contract}, and ${here}; update ${older}, which is the older of the two`;
}

function isTarget(value: unknown): value is Token<unknown> | Point<unknown> {
  return typeof value === 'object' && value !== null && 'key' in value && typeof value.key === 'symbol';
}

function flatten(list: PluginList): Plugin[] {
  return list.flatMap((item) => {
    if (!item) return [];
    return Array.isArray(item) ? flatten(item as PluginList) : [item as Plugin];
  });
}

function notAPlugin(value: unknown): { name: string; message: string } | undefined {
  const expected = 'expected an object { name, contract, register(registry) } from a plugin factory';
  if (typeof value === 'function') {
    return {
      name: value.name || 'anonymous',
      message: `is a function; call it, for example ${value.name || 'plugin'}(): ${expected}`,
    };
  }
  if (typeof value !== 'object' || value === null)
    return { name: String(value), message: `is a ${typeof value}; ${expected}` };
  if (value instanceof Promise)
    return { name: 'a promise', message: `is a promise; await it in the config: ${expected}` };
  const { name, register, default: inner } = value as { name?: unknown; register?: unknown; default?: unknown };
  if (typeof name === 'string' && name !== '' && typeof register === 'function') return undefined;
  if (inner !== undefined)
    return { name: 'a module', message: `is a whole module; import its factory by name and call it: ${expected}` };
  return {
    name: typeof name === 'string' && name !== '' ? name : 'unnamed',
    message: `has name ${JSON.stringify(name) ?? 'undefined'} and a register that is ${typeof register}; ${expected}`,
  };
}
