import path from 'node:path';
import { writeFileAtomic } from '@glulam/files';
import { toHtml, toMarkdown, type Block } from './blocks.js';

/** Write report.md with its pictures, and report.html with them in it; the names of the two. */
export async function writeBlocks(folder: string, blocks: readonly Block[]): Promise<string[]> {
  const files = {
    'report.md': toMarkdown(blocks),
    'report.html': toHtml(blocks),
    ...Object.fromEntries(
      blocks.flatMap((block) => (block.kind === 'picture' ? [[block.file, `${block.svg}\n`]] : [])),
    ),
  };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(path.join(folder, name), text);
  return ['report.md', 'report.html'].map((name) => path.join(folder, name));
}
