/** What can be wrong with a plugin. */
export type PluginFaultCode =
  | 'NOT_A_PLUGIN'
  | 'CONTRACT_MISMATCH'
  | 'REGISTER_FAILED'
  | 'DUPLICATE_PLUGIN'
  | 'DUPLICATE_SERVICE'
  | 'DUPLICATE_KIND'
  | 'MISSING_SERVICE'
  | 'CYCLE'
  | 'LIFETIME'
  | 'CREATE_FAILED'
  | 'DISPOSE_FAILED';

/** One thing wrong with one plugin. */
export interface PluginFault {
  /** What is wrong, for programs. */
  readonly code: PluginFaultCode;
  /** The name of the plugin. */
  readonly plugin: string;
  /** What was got and what was expected. */
  readonly message: string;
  /** What the plugin threw, where it did. */
  readonly cause?: unknown;
}

export type ReportFault = (code: PluginFaultCode, plugin: string, message: string, cause?: unknown) => void;

/** What went wrong in `@glulam/plugin`; see docs/errors.md. */
export type PluginErrorCode = 'PLUGINS_INVALID' | 'PLUGIN_FAILED' | 'NOT_PROVIDED' | 'REGISTRY_CLOSED';

/** The one error class of this package; `faults` holds everything that was found wrong, together. */
export class PluginError extends Error {
  /** The class, for people and for errors that crossed a boundary. */
  override readonly name = 'PluginError';
  /** What went wrong, for programs. */
  readonly code: PluginErrorCode;
  /** All faults of all plugins. */
  readonly faults: readonly PluginFault[];

  constructor(code: PluginErrorCode, message: string, faults: readonly PluginFault[] = [], cause?: unknown) {
    super(message, { cause: cause ?? faults.find((fault) => fault.cause !== undefined)?.cause });
    this.code = code;
    this.faults = faults;
  }
}
