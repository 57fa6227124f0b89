import path from 'node:path';
import { readYaml } from '@glulam/files';
import { createJiti } from 'jiti';
import { GlulamError } from '../errors.js';
import { awaitModule } from './await-module.js';
import { codeFrame, placeOf } from './code-frame.js';
import { describeLoadError } from './describe-load-error.js';
import { findJsonFault } from './find-json-fault.js';
import { readConfigText } from './read-config-text.js';

/**
 * What a config file holds; undefined where it is empty.
 *
 * @throws GlulamError CONFIG_UNREADABLE with the file, the line and the column; its cause says it without the file
 */
export async function readConfigFile(file: string): Promise<unknown> {
  try {
    switch (path.extname(file)) {
      case '.json':
        return parseJson(await readConfigText(file));
      case '.yaml':
      case '.yml': {
        const text = await readConfigText(file);
        // Comments alone are read as null.
        return readYaml(text) ?? undefined;
      }
      default:
        return await importConfig(file);
    }
  } catch (cause) {
    throw new GlulamError('CONFIG_UNREADABLE', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  const fault = findJsonFault(text);
  if (fault === undefined) return JSON.parse(text);
  const place = placeOf(text, fault.offset);
  throw new Error(`line ${place.line}, column ${place.column}: ${fault.message}\n${codeFrame(text, place)}`);
}

async function importConfig(file: string): Promise<unknown> {
  let loaded: unknown;
  try {
    loaded = await awaitModule(createJiti(import.meta.url).import(file));
  } catch (cause) {
    const { message, missing } = describeLoadError(cause);
    const install =
      missing === undefined || /^[./]/.test(missing.name) ? '' : `; install it: npm install ${missing.name}`;
    throw new Error(`${message}${install}`, { cause });
  }
  return (loaded as { readonly default?: unknown }).default;
}
