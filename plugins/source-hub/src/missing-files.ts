import path from 'node:path';
import type { InputRole } from '@glulam/trainer';
import type { HubCache } from './hub-cache.js';
import { describesModel, indexName, shardsIn, single } from './wanted-files.js';

/** What the cache lacks of a commit. */
export interface MissingFiles {
  /** Files without which nothing can be opened. */
  readonly needed: readonly string[];
  /** Files that change results, and that the repository has for certain or may have. */
  readonly optional: readonly string[];
}

/**
 * What the cache lacks of a commit, without asking the Hub. Python keeps no listing of a commit in most cases: what is not
 * known to be absent (`.no_exist`) then counts as a file that the repository may have.
 */
export function missingFiles(cache: HubCache, commit: string, role: Exclude<InputRole, 'file' | 'data'>): MissingFiles {
  const tree = cache.readTree(commit);
  const listed = tree && new Set(tree.map((file) => file.path));
  const has = (file: string): boolean => cache.has(commit, file);
  const lacks = (file: string): boolean =>
    !has(file) && (listed === undefined ? !cache.isAbsent(commit, file) : listed.has(file));

  if (role === 'adapter') {
    const config = ['adapter_config.json', 'glulam.json'];
    const without = config.some(has) ? [] : config.filter(lacks).slice(0, 1);
    return { needed: [...without, ...['adapter_model.safetensors'].filter(lacks)], optional: [] };
  }
  if (role === 'base without weights') return { needed: ['config.json'].filter(lacks), optional: [] };

  const weights = (): string[] => {
    const broken = [single, indexName].filter((file) => cache.isBroken(commit, file));
    if (has(single) || broken.length > 0) return has(single) ? [] : broken.slice(0, 1);
    if (has(indexName)) {
      const shards = shardsIn(path.join(cache.snapshot(commit), indexName));
      return shards.filter((shard) => !has(shard));
    }
    return [single, indexName].filter(lacks).slice(0, 1);
  };
  // A link to nothing is a file that was here: opening the folder would take it for one that the repository lacks.
  const broken = cache.brokenLinks(commit).filter(describesModel);
  const needed = new Set([...['config.json', 'tokenizer.json'].filter(lacks), ...broken, ...weights()]);
  const described = listed === undefined ? ['tokenizer_config.json'] : [...listed].filter(describesModel);
  return { needed: [...needed], optional: described.filter((file) => lacks(file) && !needed.has(file)) };
}
