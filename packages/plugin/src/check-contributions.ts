import type { Entry } from './entries.js';
import type { ReportFault } from './errors.js';
import type { Parts } from './token.js';

/** Of all contributions to one point: each has a kind of its own, and the parts that the point asks for. */
export function checkContributions(group: readonly Entry[], values: readonly unknown[], fault: ReportFault): void {
  const owners = new Map<string, string>();
  group.forEach(({ target, plugin }, i) => {
    const value = (values[i] ?? {}) as Readonly<Record<string, unknown>>;
    const { kind } = value;
    if (typeof kind !== 'string' || kind === '') {
      fault('CREATE_FAILED', plugin, `its contribution to ${target.id} has no kind; expected a non-empty string`);
      return;
    }
    if (owners.has(kind)) {
      fault(
        'DUPLICATE_KIND',
        plugin,
        `${target.id} has a contribution of kind "${kind}" already, by ${owners.get(kind)}`,
      );
      return;
    }
    owners.set(kind, plugin);
    for (const [part, wanted] of Object.entries(target.many ? target.parts : {})) {
      const wrong = checks[wanted](value[part]);
      if (wrong !== undefined)
        fault('CREATE_FAILED', plugin, `its contribution "${kind}" to ${target.id}: ${part} is ${wrong}`);
    }
  });
}

const ofType =
  (type: string, name: string) =>
  (value: unknown): string | undefined =>
    typeof value === type ? undefined : `${describe(value)}; expected ${name}`;

const checks: Record<Parts[string], (value: unknown) => string | undefined> = {
  function: ofType('function', 'a function'),
  text: ofType('string', 'a text'),
  schema(value) {
    if (typeof value !== 'object' || value === null || !('safeParse' in value))
      return `${describe(value)}; expected a schema of zod 4, such as z.strictObject({ ... })`;
    // Zod 3 checks values as well, but says neither a JSON Schema nor which keys it knows.
    return '_zod' in value
      ? undefined
      : "a schema of zod 3; expected one of zod 4: npm install zod@4, import { z } from 'zod'";
  },
};

const describe = (value: unknown): string =>
  value === undefined || value === null ? String(value) : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
