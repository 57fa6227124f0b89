import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { readTextStart, readYaml } from '@glulam/files';

/** What the card of a base says of its licence; all undefined where it has none, or it says nothing. */
export interface BaseLicence {
  /** There is a README.md. */
  readonly hasCard: boolean;
  /** As its front matter says it. */
  readonly license?: string | undefined;
  /** Where `license` is `other`. */
  readonly name?: string | undefined;
  /** Where the licence is, if the card says so. */
  readonly link?: string | undefined;
}

/** Some cards have megabytes of results in front of the licence. */
const mostFrontMatter = 10_000_000;

/** What the model card in a base's folder says of its licence. */
export function readBaseLicence(folder: string): BaseLicence {
  const file = path.join(folder, 'README.md');
  if (!existsSync(file) || !statSync(file).isFile()) return { hasCard: false };
  const front = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readTextStart(file, mostFrontMatter))?.[1];
  // Some cards have megabytes of results besides, which are not looked at.
  const licence = front?.match(/^license(?:_name|_link)?:.*(?:\r?\n[ \t]+.*)*/gm)?.join('\n') ?? '';
  let fields: unknown;
  try {
    fields = readYaml(licence);
  } catch {
    fields = undefined; // not YAML: it says nothing that can be repeated
  }
  const text = (key: string): string | undefined => {
    const value = (fields as Record<string, unknown> | null | undefined)?.[key];
    return typeof value === 'string' ? value : undefined;
  };
  return { hasCard: true, license: text('license'), name: text('license_name'), link: text('license_link') };
}
