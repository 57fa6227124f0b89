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

  /**
   * The Hub knows the repository, and says that it has no such revision or file: what a cache has is no answer. Or its listing
   * cannot be used, which asking again does not help.
   */
  readonly isFinal: boolean;

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions & { readonly isFinal?: boolean }) {
    super(message, options);
    this.code = code;
    this.isFinal = options?.isFinal ?? false;
  }
}
