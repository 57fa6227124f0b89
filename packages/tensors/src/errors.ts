/** What went wrong in `@glulam/tensors`; see docs/errors.md. */
export type TensorsErrorCode =
  | 'SHAPE_MISMATCH'
  | 'DTYPE_MISMATCH'
  | 'BAD_ARGUMENT'
  | 'DISPOSED'
  | 'SCOPE_ASYNC'
  | 'COPIES_DIFFER'
  | 'NOT_DIFFERENTIABLE'
  | 'ENGINE_FAILED'
  | 'ENGINE_UNAVAILABLE';

const brand = Symbol.for('glulam.TensorsError');

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class TensorsError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'TensorsError';
  /** What went wrong, for programs. */
  readonly code: TensorsErrorCode;

  constructor(code: TensorsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get [brand](): true {
    return true;
  }

  /** Errors of another copy of this package count too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}
