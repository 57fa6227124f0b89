/** How Jinja is set up: what transformers and lm-evaluation-harness pass to its `Environment`. */
export interface Dialect {
  /** White space around blocks is taken away: `trim_blocks` and `lstrip_blocks`. */
  readonly trimBlocks: boolean;
  readonly keepTrailingNewline: boolean;
  /** The tags `break`, `continue` and `generation`. */
  readonly chatTags: boolean;
  /** `ImmutableSandboxedEnvironment`: no private attributes, no methods that change a list or a dict, bounded ranges. */
  readonly sandboxed: boolean;
  /** `StrictUndefined`: what is not defined cannot even be printed. */
  readonly strictUndefined: boolean;
}

export type DialectName = 'chat' | 'task';

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  chat: { trimBlocks: true, keepTrailingNewline: false, chatTags: true, sandboxed: true, strictUndefined: false },
  task: { trimBlocks: false, keepTrailingNewline: true, chatTags: false, sandboxed: false, strictUndefined: true },
};
