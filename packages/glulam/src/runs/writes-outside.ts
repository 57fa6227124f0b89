import { existsSync, readdirSync, readlinkSync, realpathSync, type Dirent } from 'node:fs';
import path from 'node:path';
import { expandHome } from '@glulam/files';
import { reportPlace } from '@glulam/trainer';
import { GlulamError } from '../errors.js';

/** Something outside of a run's folder that a command which continues the run would write. */
export interface OutsideWrite {
  /** The key of its config.json, or the link in its folder, that leads there. */
  readonly named: string;
  /** The real path. */
  readonly to: string;
}

/**
 * The places outside of its folder that a run's config has written: reports and tokenized data. Which options of a reporter
 * are paths its plugin knows, so every text among them counts as one.
 *
 * @param fields as a file holds them, checked or not
 * @param folder of the config file
 * @param out the run folder
 */
export function writesOutside(
  fields: Readonly<Record<string, unknown>>,
  { folder, out = folder }: { readonly folder: string; readonly out?: string | undefined },
): OutsideWrite[] {
  const { cache } = (fields['data'] ?? {}) as { readonly cache?: unknown };
  const all = [
    ...textsIn(fields['reporters'], 'reporters').map(({ key, text }) => ({ named: key, to: reportPlace(out, text) })),
    ...(typeof cache === 'string' ? [{ named: 'data.cache', to: path.resolve(folder, expandHome(cache)) }] : []),
  ];
  return outside(all, [folder, out]);
}

/**
 * The places outside of a folder that links in it lead to, of which a run may write any.
 *
 * @throws GlulamError FILE_UNUSABLE
 */
export function linksOutside(folder: string): OutsideWrite[] {
  let links: Dirent[];
  try {
    links = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  } catch (cause) {
    throw new GlulamError('FILE_UNUSABLE', `${folder} cannot be looked through: ${(cause as Error).message}`, {
      cause,
    });
  }
  const all = links.map(({ parentPath, name }) => {
    const link = path.join(parentPath, name);
    return { named: path.relative(folder, link), to: path.resolve(parentPath, readlinkSync(link)) };
  });
  return outside(all, [folder]);
}

const outside = (all: readonly OutsideWrite[], folders: readonly string[]): OutsideWrite[] =>
  all
    .map(({ named, to }) => ({ named, to: realPlace(to) }))
    .filter(({ to }) => !folders.some((folder) => isInside(to, folder)));

/** Whether a real path is that of a folder or of something in it. */
export function isInside(place: string, folder: string): boolean {
  const real = realPlace(folder);
  return place === real || place.startsWith(real.endsWith(path.sep) ? real : real + path.sep);
}

/** A folder that is not there yet has no real path: that of the nearest one above it, and the rest. */
export function realPlace(folder: string): string {
  const absolute = path.resolve(folder);
  return existsSync(absolute)
    ? realpathSync(absolute)
    : path.join(realPlace(path.dirname(absolute)), path.basename(absolute));
}

function textsIn(value: unknown, key: string): { readonly key: string; readonly text: string }[] {
  if (typeof value === 'string') return /\.kind$/.test(key) ? [] : [{ key, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) =>
    textsIn(each, Array.isArray(value) ? `${key}[${name}]` : `${key}.${name}`),
  );
}
