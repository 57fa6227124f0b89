import { createRequire } from 'node:module';
import path from 'node:path';
import { TensorsError } from '@glulam/tensors';

/**
 * The first of these places that has the package: this plugin's own dependencies, then those of the folder that the
 * program was started in (`npx glulam` lives elsewhere than the project that it serves).
 */
function requireFrom(name: string): { readonly require: NodeJS.Require; readonly file: string } | undefined {
  for (const place of [import.meta.url, path.join(process.cwd(), 'package.json')]) {
    const require = createRequire(place);
    try {
      return { require, file: require.resolve(name) };
    } catch (error) {
      if ((error as { code?: string }).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

export const isInstalled = (name: string): boolean => requireFrom(`${name}/package.json`) !== undefined;

/** An optional package, loaded when it is asked for. Throws ENGINE_UNAVAILABLE with the command that brings it. */
export function loadPackage<T>(name: string, install: string): T {
  const found = requireFrom(name);
  if (found === undefined) {
    throw new TensorsError('ENGINE_UNAVAILABLE', `the package ${name} is not installed: ${install}`);
  }
  try {
    return found.require(found.file) as T;
  } catch (cause) {
    throw new TensorsError('ENGINE_UNAVAILABLE', `${name} does not load from ${found.file}: ${String(cause)}`, {
      cause,
    });
  }
}

/** The folder of an installed package. Throws ENGINE_UNAVAILABLE with the command that brings it. */
export function folderOfPackage(name: string, install: string): string {
  const found = requireFrom(`${name}/package.json`);
  if (found === undefined) {
    throw new TensorsError('ENGINE_UNAVAILABLE', `the package ${name} is not installed: ${install}`);
  }
  return path.dirname(found.file);
}
