import type { RegexNode } from './parse-python-regex.js';

/**
 * At least as many ways as a pattern can be laid on a text of this many characters, which a matcher that goes back tries one after
 * another. Infinity: nobody counted, as for a repeat of what itself matches in several ways.
 */
export function mostAttempts(node: RegexNode, length: number): number {
  switch (node.kind) {
    case 'set':
    case 'any':
    case 'position':
      return 1;
    case 'reference':
      return Infinity;
    case 'group':
    case 'atomic':
    case 'look':
      return mostAttempts(node.body, length);
    case 'branch':
      return node.options.reduce((sum, option) => sum + mostAttempts(option, length), 0);
    case 'sequence':
      return node.parts.reduce((product, part) => product * mostAttempts(part, length), 1);
    case 'repeat': {
      const one = mostAttempts(node.body, length);
      if (node.max <= 1) return 1 + one;
      return node.body.kind === 'set' || node.body.kind === 'any' ? Math.min(node.max, length) + 1 : Infinity;
    }
  }
}
