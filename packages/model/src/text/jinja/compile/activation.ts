import { checkText, spend } from '../rendering.js';
import type { Value } from '../values/values.js';

/** Text while it is written. */
export class Output {
  text = '';

  add(text: string): void {
    this.text += text;
    spend(1 + (text.length >>> 6));
    checkText(this.text.length);
  }
}

/** Where in the text, as JavaScript counts its characters, a `generation` block stands. */
export interface GenerationSpan {
  /** Index of its first character in the text, in UTF-16 units as `String.slice` takes it. */
  readonly start: number;
  /** Index after its last character. */
  readonly end: number;
}

/** The names that a template reads from outside itself. */
export interface Context {
  /** What the template has set at its top level; only its blocks read it. */
  readonly own: Map<string, Value>;
  /** What the caller gave, and the globals; undefined for none. */
  readonly given: (name: string) => Value;
}

export const resolve = (context: Context, name: string): Value =>
  context.own.has(name) ? context.own.get(name) : context.given(name);

/** What one rendering shares. */
export interface Run {
  readonly output: Output;
  readonly generation: GenerationSpan[];
  /** Generation blocks inside a macro or a captured block: where they end up in the text is unknown. */
  unplaced: number;
  line: number;
}

/** The variables of one call of a template's function: of the template itself, a macro, a recursive loop. */
export class Activation {
  readonly slots: Value[] = [];
  readonly parent: Activation | undefined;
  readonly context: Context;
  readonly run: Run;

  constructor(run: Run, context: Context, parent: Activation | undefined) {
    this.run = run;
    this.context = context;
    this.parent = parent;
  }

  inner(): Activation {
    return new Activation(this.run, this.context, this);
  }
}
