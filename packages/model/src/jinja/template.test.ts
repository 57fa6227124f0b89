import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ModelError } from '../errors.js';
import { createJinjaTemplate, type RenderedTemplate } from './template.js';

interface Outcome {
  readonly text?: string;
  readonly raises?: string;
}
interface Table {
  readonly names: Record<string, unknown>;
  readonly chat: readonly (readonly [string, Outcome])[];
  readonly task: readonly (readonly [string, Outcome])[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../fixtures/jinja/${name}.json`, import.meta.url), 'utf8'));
const table = read('expressions') as Table;

const codes: Readonly<Record<string, string>> = {
  TemplateSyntaxError: 'TEMPLATE_INVALID',
  TemplateAssertionError: 'TEMPLATE_INVALID',
  SyntaxError: 'TEMPLATE_INVALID',
  TemplateError: 'TEMPLATE_REFUSED',
};

function outcome(run: () => RenderedTemplate): Outcome {
  try {
    return { text: run().text };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { raises: error.code };
  }
}

/** What Python raises, as this interpreter reports it. */
const expected = ({ text, raises }: Outcome): Outcome =>
  text === undefined ? { raises: codes[raises!] ?? 'TEMPLATE_FAILED' } : { text };

describe.each(['chat', 'task'] as const)('%s templates', (dialect) => {
  it.each(table[dialect])('%j', (source, result) => {
    expect(outcome(() => createJinjaTemplate(source, dialect).render(table.names))).toEqual(expected(result));
  });
});
