import { statSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { checkRegular } from '@glulam/files';
import { nearest } from '@glulam/trainer';
import { GlulamError } from '../errors.js';

const codeExtensions = ['.ts', '.mts', '.js', '.mjs'];
const configExtensions = [...codeExtensions, '.json', '.yaml', '.yml'];

/** A config has a few kilobytes. Data files, which end in .json as well, have more. */
const largest = 4_000_000;

/**
 * Check that a config file is there and could be one, before anything reads it.
 *
 * @throws GlulamError CONFIG_NOT_FOUND with the file that was meant, CONFIG_UNREADABLE
 */
export function checkConfigFile(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) {
    const near = similarConfig(file);
    const hint = near === undefined ? '' : `; did you mean ${path.join(path.dirname(file), near)}?`;
    throw new GlulamError(
      'CONFIG_NOT_FOUND',
      `there is no config file ${file}${hint || '; expected a .ts, .js, .json or .yaml file'}`,
    );
  }
  if (stats.isDirectory()) {
    const configs = configsIn(file).slice(0, 5);
    const expected = isBase(readdirSync(file))
      ? `it holds a base checkpoint: write a config with base: ${JSON.stringify(file)}`
      : 'expected a .ts, .js, .json or .yaml file';
    const hint =
      configs.length === 0 ? expected : `did you mean ${configs.map((name) => path.join(file, name)).join(' or ')}?`;
    throw new GlulamError('CONFIG_UNREADABLE', `${file} is a folder, not a config file; ${hint}`);
  }
  const extension = path.extname(file);
  if (!configExtensions.includes(extension))
    throw new GlulamError(
      'CONFIG_UNREADABLE',
      `${file} ends in "${extension}"; expected .ts, .js, .mjs, .json, .yaml or .yml`,
    );
  try {
    checkRegular(stats);
  } catch (cause) {
    throw new GlulamError('CONFIG_UNREADABLE', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (stats.size > largest)
    throw new GlulamError(
      'CONFIG_UNREADABLE',
      `${file} has ${stats.size.toLocaleString('en-US')} bytes, more than any config; if it holds data, write a config that names it as data.train`,
    );
}

/** The text of a config file, without a byte order mark. */
export async function readConfigText(file: string): Promise<string> {
  const bytes = await readFile(file);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    throw new Error('it is UTF-16; save it as UTF-8');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error('it is not a text in UTF-8', { cause });
  }
  if (text.includes('\0')) throw new Error('it is not a text: it has zero bytes');
  return text;
}

function similarConfig(file: string): string | undefined {
  const configs = configsIn(path.dirname(file));
  const stem = (name: string): string => path.basename(name, path.extname(name));
  const near = nearest(stem(file), configs.map(stem));
  return configs.find((name) => stem(name) === near) ?? configs.find((name) => name.startsWith('glulam.'));
}

/** JSON and YAML files of runs, checkpoints, adapters, packages and tools: never configs. */
const notConfigs =
  /^(best|events|state|results|package|package-lock|pnpm-lock|pnpm-workspace|[jt]sconfig.*|tokenizer|tokenizer_config|vocab|merges|added_tokens|special_tokens_map|preprocessor_config|generation_config|quantize_config|adapter_config|.*\.index|.*\.schema|nx|lerna|turbo|deno|vercel|docker-compose|trusted-runs|.*\.lock)\.(json|ya?ml)$/;
/** Code that is no config by its name. */
const otherCode =
  /(\.d|\.test|\.spec|^(eslint|vite|vitest|jest|webpack|rollup|prettier|next|tailwind|playwright)\.config)\.m?[jt]s$/;

/**
 * Files of a folder that may be configs by their names. In the folder of a run, of a base or of an adapter, which may be
 * somebody else's, code files are not offered: whoever follows the advice would run them.
 */
function configsIn(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // no such folder, or none that may be read
  }
  const isData = ['config.json', 'adapter_config.json', 'events.jsonl', 'state.json'].some((name) =>
    names.includes(name),
  );
  return names
    .filter((name) => configExtensions.includes(path.extname(name)) && !notConfigs.test(name) && !otherCode.test(name))
    .filter((name) => name !== 'config.json' || !isBase(names))
    .filter((name) => !isData || !codeExtensions.includes(path.extname(name)))
    .sort();
}

const isBase = (names: readonly string[]): boolean =>
  names.includes('tokenizer.json') || names.some((name) => /\.(safetensors|gguf)$/.test(name));
