import { shortMessage } from '@glulam/files';

/** What went wrong in `@glulam/export`; see docs/errors.md. */
export type ExportErrorCode =
  | 'ADAPTER_INVALID'
  | 'ADAPTER_NOT_PEFT'
  | 'CHECKPOINT_INVALID'
  | 'TOKENIZER_INVALID'
  | 'MERGE_IMPOSSIBLE'
  | 'OUTPUT_UNUSABLE'
  | 'LINK_OUTSIDE'
  | 'GGUF_UNSUPPORTED';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class ExportError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'ExportError';
  /** What went wrong, for programs. */
  readonly code: ExportErrorCode;

  constructor(code: ExportErrorCode, message: string, options?: ErrorOptions) {
    super(shortMessage(message), options);
    this.code = code;
  }
}
