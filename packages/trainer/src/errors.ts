import { shortMessage } from '@glulam/files';

/** What went wrong in `@glulam/trainer`; see docs/errors.md. */
export type TrainerErrorCode =
  | 'CONFIG_INVALID'
  | 'DATA_UNREADABLE'
  | 'DATA_INVALID'
  | 'DATA_EMPTY'
  | 'MEMORY_INSUFFICIENT'
  | 'ENCODING_FAILED'
  | 'CACHE_WRITE_FAILED'
  | 'LOSS_NOT_FINITE'
  | 'RUN_INVALID'
  | 'GIVEN_IN_CODE'
  | 'RUN_BUSY'
  | 'RUN_NOT_ACTIVE'
  | 'RUN_CHANGED'
  | 'STEP_NOT_FOUND'
  | 'RUN_WRITE_FAILED'
  | 'SAMPLES_UNUSABLE'
  | 'REPORT_UNWRITABLE';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class TrainerError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'TrainerError';
  /** What went wrong, for programs. */
  readonly code: TrainerErrorCode;

  constructor(code: TrainerErrorCode, message: string, options?: ErrorOptions) {
    super(shortMessage(message), options);
    this.code = code;
  }
}
