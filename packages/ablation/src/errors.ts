/** What went wrong in `@glulam/ablation`; see docs/errors.md. */
export type AblationErrorCode =
  'VARIANTS_INVALID' | 'FOLDER_UNUSABLE' | 'FOLDER_BUSY' | 'CONFIG_CHANGED' | 'DATA_CHANGED' | 'SEARCH_INVALID';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class AblationError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'AblationError';
  /** What went wrong, for programs. */
  readonly code: AblationErrorCode;

  constructor(code: AblationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
