import { globals } from '../builtins/globals.js';
import type { Expression, Statement } from './nodes.js';
import { walkStatements } from './walk.js';

const asking = ['defined', 'undefined', 'none', 'default', 'd'];

/** The names that a template cannot do without: those it reads, and neither makes itself nor asks after. */
export function requiredNames(statements: readonly Statement[]): ReadonlySet<string> {
  const read = new Set<string>();
  const others = new Set(['loop', 'caller', 'varargs', 'kwargs', 'self', 'super', ...globals.keys()]);
  walkStatements(statements, {
    load: (name) => void read.add(name),
    store: (name) => void others.add(name),
    parameter: (name) => void others.add(name),
    expression: (node) => {
      for (const name of askedAfter(node)) others.add(name);
    },
  });
  return new Set([...read].filter((name) => !others.has(name)));
}

function askedAfter(node: Expression): string[] {
  if ((node.kind !== 'test' && node.kind !== 'filter') || !asking.includes(node.name)) return [];
  return node.of?.kind === 'name' ? [node.of.name] : [];
}
