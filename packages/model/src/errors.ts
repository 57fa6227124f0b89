import { shortMessage } from '@glulam/files';

/** What went wrong in `@glulam/model`; see docs/errors.md. */
export type ModelErrorCode =
  | 'CHECKPOINT_INVALID'
  | 'CONFIG_INVALID'
  | 'MODEL_TYPE_UNKNOWN'
  | 'QUANTIZED_UNSUPPORTED'
  | 'EXPANSION_INVALID'
  | 'ADAPTER_INVALID'
  | 'ADAPTER_NOT_PEFT'
  | 'TOKENIZER_INVALID'
  | 'TOKENIZER_UNSUPPORTED'
  | 'TOKENIZER_MISMATCH'
  | 'CHAT_TEMPLATE_FAILED'
  | 'TEMPLATE_INVALID'
  | 'TEMPLATE_FAILED'
  | 'TEMPLATE_REFUSED'
  | 'TEMPLATE_LIMIT'
  | 'PATTERN_TIMEOUT'
  | 'GENERATION_INVALID'
  | 'WEIGHT_NOT_FINITE'
  | 'BAD_ARGUMENT';

/** The one error class of this package: the message says what was got, what was expected and how to mend it. */
export class ModelError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'ModelError';
  /** What went wrong, for programs. */
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(shortMessage(message), options);
    this.code = code;
  }
}
