export type CreateErrorCode =
  'USAGE' | 'ROLE_UNKNOWN' | 'NAME_INVALID' | 'FOLDER_NOT_EMPTY' | 'WRITE_FAILED' | 'INTERRUPTED';

/** The one error class of this package. */
export class CreateError extends Error {
  override readonly name = 'CreateError';
  readonly code: CreateErrorCode;

  constructor(code: CreateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
