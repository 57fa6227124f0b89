import { typeError } from '../failures.js';
import { undefinedOf } from '../values/lookup.js';
import { nested } from '../rendering.js';
import { MISSING, PyDict, PyTuple, type JinjaObject, type Kwargs, type Value } from '../values/values.js';

/** What a macro or a call block takes; which of the last three is known from what its body reads. */
export interface MacroForm {
  readonly name: string | undefined;
  readonly names: readonly string[];
  readonly readsCaller: boolean;
  readonly readsKwargs: boolean;
  readonly readsVarargs: boolean;
}

export class Macro implements JinjaObject {
  readonly type = 'Macro';
  readonly #form: MacroForm;
  readonly #run: (args: Value[]) => string;

  /** @param run takes the arguments by name (undefined: not given), then caller, kwargs and varargs, where it reads them */
  constructor(form: MacroForm, run: (args: Value[]) => string) {
    this.#form = form;
    this.#run = run;
  }

  call(args: readonly Value[], kwargs: Kwargs): Value {
    const { names, readsCaller, readsKwargs, readsVarargs, name } = this.#form;
    const rest = new Map(kwargs);
    const take = (key: string): Value => {
      const value = rest.get(key);
      rest.delete(key);
      return value;
    };
    const all: Value[] = args.slice(0, names.length);
    let foundCaller = all.length === names.length && names.includes('caller');
    for (const key of names.slice(all.length)) {
      if (key === 'caller') foundCaller = true;
      all.push(take(key));
    }
    if (readsCaller && !foundCaller) {
      const caller = take('caller');
      all.push(
        caller === undefined || caller === null ? undefinedOf({ hint: 'No caller defined', key: 'caller' }) : caller,
      );
    }
    if (readsKwargs) all.push(PyDict.of(rest));
    else if (rest.has('caller'))
      throw typeError(`macro '${name}' was invoked with two values for the special caller argument`);
    else if (rest.size > 0) throw typeError(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
    if (readsVarargs) all.push(new PyTuple(args.slice(names.length)));
    else if (args.length > names.length)
      throw typeError(`macro '${name}' takes not more than ${names.length} argument(s)`);
    return nested(() => this.#run(all));
  }

  attribute(name: string): Value {
    const form = this.#form;
    switch (name) {
      case 'name':
        return form.name ?? null;
      case 'arguments':
        return new PyTuple(form.names);
      case 'catch_kwargs':
        return form.readsKwargs;
      case 'catch_varargs':
        return form.readsVarargs;
      case 'caller':
        return form.readsCaller;
      case 'explicit_caller':
        return form.names.includes('caller');
      default:
        return MISSING;
    }
  }

  repr(): string {
    return `<Macro ${this.#form.name === undefined ? 'anonymous' : `'${this.#form.name}'`}>`;
  }
}
