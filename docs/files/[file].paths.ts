import { readFileSync } from 'node:fs';
import path from 'node:path';
import { docs, linkedFiles, pageOf } from '../.vitepress/linked-files.js';

/** A page for each file of the repository that the others link. */
export default {
  paths: () =>
    linkedFiles().map((name) => {
      const text = readFileSync(path.join(docs, '..', name), 'utf8');
      const language = path.extname(name).slice(1);
      return { params: { file: pageOf(name), name }, content: `\`\`\`\`${language}\n${text}\n\`\`\`\`` };
    }),
};
