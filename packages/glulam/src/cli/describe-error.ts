import { PluginError } from '@glulam/plugin';

/** What the command line prints of an error: of ours code and message, which are for people; of others the stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string' || error.name === 'Error') return error.stack ?? error.message;
  return `error [${code}]: ${error.message}${stackOfPlugin(error)}`;
}

/** A plugin that failed is for its author to mend: where it did is shown as well. */
function stackOfPlugin(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if (!(error instanceof PluginError)) return stackOfPlugin(error.cause);
  const { stack = '' } = (error.cause ?? {}) as { readonly stack?: string };
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames
    .slice(0, 8)
    .map((frame) => `\n${frame}`)
    .join('');
}
