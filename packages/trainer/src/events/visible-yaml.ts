import { visit, type Document, type ToStringOptions } from 'yaml';
import { visibleJson, visibleText } from './visible-text.js';

/**
 * A document as YAML of the same values, in which a text that a terminal, a reader or a browser would obey is in double
 * quotes, with escapes.
 */
export function visibleYaml(document: Document, options: ToStringOptions = {}): string {
  visit(document, {
    Scalar(_, node) {
      const { value } = node;
      if (typeof value === 'string' && (visibleText(value) !== value || /[<>]/.test(value))) node.type = 'QUOTE_DOUBLE';
    },
  });
  return visibleJson(document.toString({ lineWidth: 0, ...options })).replace(/[<>]/g, (tag) =>
    tag === '<' ? '\\u003c' : '\\u003e',
  );
}
