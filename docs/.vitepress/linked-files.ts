import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { MarkdownRenderer } from 'vitepress';

export const docs = path.resolve(import.meta.dirname, '..');
const root = path.resolve(docs, '..');

/** Pages link files of the repository as GitHub shows them, `../examples/x.ts`; on the site each has a page: its name there. */
export const pageOf = (file: string): string => file.replace(/[^\w]+/g, '-');

/** The pages that are written by hand or generated: what is not a page of a file, a snippet or a figure. */
export const pages = (): string[] =>
  readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.md') && !/^(\.vitepress|files|snippets|figures)\//.test(name),
  );

/** Every file outside docs/ that a page links, from the repository's root, in order. */
export function linkedFiles(): string[] {
  const files = pages().flatMap((page) =>
    [...readFileSync(path.join(docs, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].flatMap(
      ([, link]) => fileOf(link!, page) ?? [],
    ),
  );
  return [...new Set(files)].sort();
}

/** The file of the repository that a link of a page goes to, if it leaves docs/. */
function fileOf(link: string, page: string): string | undefined {
  if (/^(\w+:|\/|#)/.test(link)) return undefined;
  const file = path.resolve(docs, path.dirname(page), link);
  if (!path.relative(docs, file).startsWith('..')) return undefined;
  const name = path.relative(root, file);
  if (name.startsWith('..') || statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    throw new Error(`docs/${page} links ${link}, which is no file of this repository; link a file that there is`);
  return name;
}

/** For VitePress: links that leave docs/ go to the pages of their files. */
export function linkFiles(md: MarkdownRenderer): void {
  md.core.ruler.push('link-files', ({ tokens, env }) => {
    const { relativePath } = env as { relativePath: string };
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const link = token.type === 'link_open' ? token.attrGet('href') : null;
      const file = link === null ? undefined : fileOf(link, relativePath);
      if (file !== undefined) token.attrSet('href', `/files/${pageOf(file)}`);
    }
  });
}
