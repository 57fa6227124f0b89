/** An exception that Python or Jinja would raise, by the name of its class. */
export class PythonError extends Error {
  override readonly name = 'PythonError';
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** What Python can do and this interpreter cannot, by a name that follows "Glulam's Jinja lacks". */
export class LimitError extends Error {
  override readonly name = 'LimitError';
}

/** A rendering that uses more than it may, said of the template ("it takes ..."). */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

/** A template that Jinja refuses to compile. */
export class SyntaxFailure extends Error {
  override readonly name = 'SyntaxFailure';
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

export const typeError = (message: string): PythonError => new PythonError('TypeError', message);
export const valueError = (message: string): PythonError => new PythonError('ValueError', message);
