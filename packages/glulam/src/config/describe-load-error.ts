import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModuleStuck } from './await-module.js';
import { codeFrame } from './code-frame.js';

/** Why a module of TypeScript or JavaScript could not be loaded. */
interface LoadFault {
  /** With the file, the line and, of a syntax error, the code. */
  readonly message: string;
  /** A module that is not there, and the file that imports it. */
  readonly missing?: { readonly name: string; readonly importer: string | undefined };
}

export function describeLoadError(error: unknown): LoadFault {
  if (!(error instanceof Error)) return { message: `it threw ${String(error)}, which is no Error` };
  if (error instanceof ModuleStuck) return { message: error.message };
  const { code, requireStack } = error as { code?: unknown; requireStack?: readonly string[] };
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
    const [, name = '', importer = requireStack?.[0]] =
      /Cannot find (?:module|package) '([^']+)'(?: imported from (\S+))?/.exec(error.message) ?? [];
    const from = importer === undefined ? '' : `${importer} imports `;
    return { message: `${from}"${name}", which cannot be found`, missing: { name, importer } };
  }
  return { message: syntaxError(error) ?? `${error.name}: ${error.message}${placeInStack(error)}` };
}

/** jiti says the place and Node the code as well. */
function syntaxError(error: Error): string | undefined {
  const parsed = /^ParseError: (.*?)\s*\n\s*(.+):(\d+):(\d+)\s*$/.exec(error.message);
  if (parsed !== null) {
    const [, what, file, line, column] = parsed as unknown as [string, string, string, string, string];
    const place = { line: Number(line), column: Number(column) + 1 };
    const frame = existsSync(file) ? `\n${codeFrame(readFileSync(file, 'utf8'), place)}` : '';
    return `${file}:${place.line}:${place.column} has a syntax error: ${what}${frame}`;
  }
  if (error.name !== 'SyntaxError') return undefined;
  const [head] = (error.stack ?? '').split(/^SyntaxError/m);
  const [place, ...frame] = (head ?? '').trimEnd().split('\n');
  return place === undefined || place === ''
    ? undefined
    : `${filePath(place)} has a syntax error: ${error.message}\n${frame.map((line) => `  ${line}`).join('\n')}`;
}

/** The first line of a stack that is code of others: not Node's, and not the loader's. */
function placeInStack({ stack = '' }: Error): string {
  const places = [...stack.matchAll(/^\s+at .*?\(?((?:file:\/\/)?\/[^\s()]+|[A-Za-z]:\\[^()]+):(\d+):\d+\)?$/gm)];
  const [, file, line] = places.find(([, name]) => !/[\\/]node_modules[\\/]jiti[\\/]/.test(name!)) ?? [];
  return file === undefined ? '' : ` (at ${filePath(file)}:${line})`;
}

const filePath = (name: string): string => {
  const [, url, rest] = /^(file:\/\/.*?)((?::\d+)*)$/.exec(name) ?? [];
  return url === undefined ? path.normalize(name) : fileURLToPath(url) + rest;
};
