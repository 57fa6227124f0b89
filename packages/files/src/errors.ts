import { shortMessage } from './messages/quote-value.js';

/** What went wrong in `@glulam/files`; see docs/errors.md. */
export type FilesErrorCode =
  | 'DTYPE_MISMATCH'
  | 'BAD_ARGUMENT'
  | 'FILE_UNREADABLE'
  | 'FILE_CHANGED'
  | 'SAFETENSORS_INVALID'
  | 'SAFETENSORS_MISSING_TENSOR'
  | 'WRITE_FAILED'
  | 'YAML_INVALID';

const brand = Symbol.for('glulam.FilesError');

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class FilesError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'FilesError';
  /** What went wrong, for programs. */
  readonly code: FilesErrorCode;

  constructor(code: FilesErrorCode, message: string, options?: ErrorOptions) {
    super(shortMessage(message), options);
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
