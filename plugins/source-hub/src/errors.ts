/** What went wrong with the Hub; see docs/errors.md. */
export type HubErrorCode =
  | 'NAME_INVALID'
  | 'ACCESS_DENIED'
  | 'NOT_FOUND'
  | 'OFFLINE'
  | 'UNREACHABLE'
  | 'REQUEST_REFUSED'
  | 'CONTENT_DAMAGED'
  | 'CACHE_UNWRITABLE';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly code: HubErrorCode;

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
