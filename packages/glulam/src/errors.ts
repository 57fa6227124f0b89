import { shortMessage } from '@glulam/files';

/** What went wrong in `glulam`; see docs/errors.md. */
export type GlulamErrorCode =
  | 'USAGE'
  | 'CONFIG_NOT_FOUND'
  | 'CONFIG_UNREADABLE'
  | 'PLUGIN_UNLOADABLE'
  | 'PLUGIN_UNUSABLE'
  | 'PLUGINS_MISSING'
  | 'PLUGINS_UNTRUSTED'
  | 'WRITES_UNTRUSTED'
  | 'RUN_NOT_FOUND'
  | 'FILE_UNUSABLE'
  | 'OUTPUT_CLOSED'
  | 'OUTPUT_UNWRITABLE'
  | 'INTERRUPTED';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class GlulamError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'GlulamError';
  /** What went wrong, for programs. */
  readonly code: GlulamErrorCode;

  constructor(code: GlulamErrorCode, message: string, options?: ErrorOptions) {
    super(shortMessage(message), options);
    this.code = code;
  }
}
