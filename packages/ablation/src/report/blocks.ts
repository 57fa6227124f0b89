import { codeBlock, plainMarkdown as plain, visibleText } from '@glulam/trainer';

/** A part of a report, which is written as Markdown and as HTML. Texts are plain. */
export type Block =
  | { readonly kind: 'title' | 'heading' | 'text' | 'code'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: 'picture'; readonly file: string; readonly svg: string; readonly title: string };

export function toMarkdown(blocks: readonly Block[]): string {
  return `${blocks.map(markdownOf).join('\n\n')}\n`;
}

function markdownOf(block: Block): string {
  switch (block.kind) {
    case 'title':
      return `# ${plain(block.text)}`;
    case 'heading':
      return `## ${plain(block.text)}`;
    case 'text':
      return plain(block.text);
    case 'code':
      return codeBlock('yaml', block.text.trimEnd());
    case 'list':
      return block.items.map((item) => `- ${plain(item)}`).join('\n');
    case 'table': {
      const line = (cells: readonly string[]): string => `| ${cells.map(plain).join(' | ')} |`;
      const rule = block.head.map((_, index) => (index === 0 ? '---' : '---:'));
      return [line(block.head), `| ${rule.join(' | ')} |`, ...block.rows.map(line)].join('\n');
    }
    case 'picture':
      return `![${plain(block.title)}](${block.file})`;
  }
}

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 0.85rem; }
  th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
  th { border-bottom: 2px solid #888; } th:first-child, td:first-child { text-align: left; }
  td { font-variant-numeric: tabular-nums; white-space: nowrap; }
  pre { background: #f5f5f5; padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
  figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
`;

/** One page that needs nothing else: its pictures are in it. */
export function toHtml(blocks: readonly Block[]): string {
  const title = blocks.flatMap((block) => (block.kind === 'title' ? [block.text] : [])).join();
  return [
    '<!doctype html>',
    '<html lang="en">',
    `<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(title)}</title><style>${style}</style></head>`,
    '<body>',
    ...blocks.map(htmlOf),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function htmlOf(block: Block): string {
  switch (block.kind) {
    case 'title':
      return `<h1>${escape(block.text)}</h1>`;
    case 'heading':
      return `<h2>${escape(block.text)}</h2>`;
    case 'text':
      return `<p>${escape(block.text)}</p>`;
    case 'code':
      return `<pre>${escape(block.text.trimEnd())}</pre>`;
    case 'list':
      return `<ul>${block.items.map((item) => `<li>${escape(item)}</li>`).join('')}</ul>`;
    case 'table': {
      const line = (cells: readonly string[], tag: string): string =>
        `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
      return `<div class="wide"><table><thead>${line(block.head, 'th')}</thead><tbody>${block.rows.map((row) => line(row, 'td')).join('\n')}</tbody></table></div>`;
    }
    case 'picture':
      return `<figure class="wide" role="img" aria-label="${escape(block.title)}">${block.svg}</figure>`;
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escape = (text: string): string => visibleText(text).replace(/[&<>"']/g, (character) => entities[character]!);
