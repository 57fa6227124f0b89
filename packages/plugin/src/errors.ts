export type PluginFaultCode =
  | 'NOT_A_PLUGIN'
  | 'CONTRACT_MISMATCH'
  | 'REGISTER_FAILED'
  | 'DUPLICATE_PLUGIN'
  | 'DUPLICATE_SERVICE'
  | 'DUPLICATE_KIND'
  | 'MISSING_SERVICE'
  | 'CYCLE'
  | 'CREATE_FAILED';

/** One thing wrong with one plugin. */
export interface PluginFault {
  readonly code: PluginFaultCode;
  readonly plugin: string;
  readonly message: string;
  readonly cause?: unknown;
}

export type ReportFault = (code: PluginFaultCode, plugin: string, message: string, cause?: unknown) => void;

export type PluginErrorCode = 'PLUGINS_INVALID' | 'PLUGIN_FAILED' | 'NOT_PROVIDED' | 'REGISTRY_CLOSED';

/** The one error class of this package; `faults` holds everything that was found wrong, together. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
  readonly code: PluginErrorCode;
  readonly faults: readonly PluginFault[];

  constructor(code: PluginErrorCode, message: string, faults: readonly PluginFault[] = [], cause?: unknown) {
    super(message, { cause: cause ?? faults.find((fault) => fault.cause !== undefined)?.cause });
    this.code = code;
    this.faults = faults;
  }
}
