import { ModelError } from '../../errors.js';
import { Activation, Output, type GenerationSpan, type Run } from './compile/activation.js';
import { compileTemplate } from './compile/compile-statement.js';
import { dialects, type DialectName } from './parse/dialect.js';
import { BudgetError, LimitError, PythonError, SyntaxFailure } from './failures.js';
import { chatGlobals, globals, Refusal } from './builtins/globals.js';
import { parseTemplate } from './parse/parse-template.js';
import { requiredNames } from './parse/required-names.js';
import { withBudget } from './rendering.js';
import { stopAfter } from '../time-limit.js';
import { toValue } from './values/to-value.js';
import type { Value } from './values/values.js';

export type { GenerationSpan } from './compile/activation.js';

/** Of a rendering; all steps that one has take half a second. */
const mostSeconds = 10;

/** What one rendering gave. */
export interface RenderedTemplate {
  /** What the template wrote. */
  readonly text: string;
  /** Where the `generation` blocks stand in the text, in the order in which they ended. */
  readonly generation: readonly GenerationSpan[];
  /** `generation` blocks in macros and captured blocks. Nobody knows where in the text these end up. */
  readonly unplacedGenerations: number;
  /** Whether the text depends on the clock: the template called `strftime_now`. */
  readonly readsClock: boolean;
}

/** A parsed template that can be rendered many times. */
export interface JinjaTemplate {
  /** The template's text. */
  readonly source: string;
  /** The names that it cannot do without: it reads them, and neither makes them itself nor asks whether they are there. */
  readonly required: ReadonlySet<string>;
  /**
   * The template's text with these names filled in.
   *
   * @param names what the template reads: values of JSON, Maps and bigints
   * @param now what `strftime_now` takes for now, in local time
   * @throws ModelError TEMPLATE_FAILED with the line, TEMPLATE_REFUSED with the template's own words (`raise_exception`),
   *   TEMPLATE_LIMIT for what this interpreter leaves out and for a rendering beyond its budget
   */
  render(names: Readonly<Record<string, unknown>>, now?: Date): RenderedTemplate;
}

/**
 * A Jinja template as Python's jinja2 3.1 renders it: 'chat' under transformers' sandbox, 'task' as
 * lm-evaluation-harness sets it up.
 *
 * @throws ModelError TEMPLATE_INVALID with the line, TEMPLATE_LIMIT
 */
export function createJinjaTemplate(source: string, dialectName: DialectName): JinjaTemplate {
  const dialect = dialects[dialectName];
  const compiled = explaining(undefined, () => {
    const statements = parseTemplate(source, dialect);
    return { required: requiredNames(statements), run: compileTemplate(statements) };
  });

  return {
    source,
    required: compiled.required,
    render(names, now) {
      let readsClock = false;
      const clock = (): Date => {
        readsClock = true;
        return now ?? new Date();
      };
      const more = dialectName === 'chat' ? chatGlobals(clock) : undefined;
      const run: Run = { output: new Output(), generation: [], unplaced: 0, line: 1 };
      const known = new Map<string, Value>();
      const given = (name: string): Value => {
        if (known.has(name)) return known.get(name);
        const value = Object.hasOwn(names, name) ? toValue(names[name]) : undefined;
        const found = value === undefined ? (more?.get(name) ?? globals.get(name)) : value;
        known.set(name, found);
        return found;
      };
      return explaining(run, () => {
        const activation = new Activation(run, { own: new Map(), given }, undefined);
        inTime(() => withBudget(dialect, () => compiled.run(activation, run.output)));
        return {
          text: run.output.text,
          generation: run.generation,
          unplacedGenerations: run.unplaced,
          readsClock,
        };
      });
    },
  };
}

/** Steps bound the time of what a template does; this bounds it whatever they miss. */
function inTime(render: () => void): void {
  if (stopAfter(mostSeconds * 1000, render).stopped) throw new BudgetError(`it takes more than ${mostSeconds} s`);
}

/** Runs something, and puts what it throws into this package's words. */
function explaining<T>(run: Run | undefined, what: () => T): T {
  try {
    return what();
  } catch (error) {
    throw explained(error, run?.line);
  }
}

function explained(error: unknown, line: number | undefined): unknown {
  const at = line === undefined ? '' : `line ${line}: `;
  if (error instanceof Refusal) return new ModelError('TEMPLATE_REFUSED', error.message, { cause: error });
  if (error instanceof SyntaxFailure)
    return new ModelError('TEMPLATE_INVALID', `line ${error.line}: ${error.message}`, { cause: error });
  if (error instanceof LimitError)
    return new ModelError('TEMPLATE_LIMIT', `${at}Glulam's Jinja lacks ${error.message}`, { cause: error });
  if (error instanceof BudgetError)
    return new ModelError('TEMPLATE_LIMIT', `${at}Glulam stops it: ${error.message}`, { cause: error });
  if (error instanceof PythonError) {
    const type = error.type === 'UndefinedError' || error.type.startsWith('Template') ? '' : `${error.type}: `;
    return new ModelError('TEMPLATE_FAILED', `${at}${type}${error.message}`, { cause: error });
  }
  if (error instanceof RangeError && /call stack|string length/i.test(error.message))
    return new ModelError('TEMPLATE_LIMIT', `${at}Glulam stops it: it is nested too deep or makes too long a text`, {
      cause: error,
    });
  return error;
}
