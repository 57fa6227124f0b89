// Writes docs/figures: pictures of layers as the strategies lay them out, and what plans say of memory. `npm run
// docs:figures` after a change of either; a test compares the files.
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { kindPanels, sharedBoards } from './docs-figures/layer-pictures.mjs';
import { memoryBars, memoryTable, planRecipes } from './docs-figures/memory-figures.mjs';

export const folder = path.join(import.meta.dirname, '../../docs/figures');

/** File names to their texts. @returns {Promise<Record<string, string>>} */
export async function figures() {
  const plans = await planRecipes();
  return {
    'kinds.html': await kindPanels(),
    'memory.html': await memoryBars(plans),
    'memory.md': memoryTable(plans),
    'shared.html': await sharedBoards(),
  };
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  mkdirSync(folder, { recursive: true });
  const written = Object.entries(await figures());
  for (const [name, text] of written) writeFileSync(path.join(folder, name), text);
  console.log(`docs/figures: ${written.map(([name]) => name).join(', ')}`);
}
