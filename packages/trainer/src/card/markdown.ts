import { visibleText } from '../events/visible-text.js';

/**
 * A text that is not ours, on one line of Markdown: no emphasis, tag, link, entity or column of a table comes of it, and an
 * address in it is no link.
 */
export function plainMarkdown(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_[\]>|~$]|<(?![a-z/!?])|&(?=#?\w+;)/gi, '\\$&')
    .replace(/(?<!\\)</g, '&lt;')
    .replace(/(?<=\])\(|(?<=\w):(?=\S)|(?<=\bwww)\./gi, '\\$&')
    .replace(/^(?:[#+=-]|\d{1,9}[.)](?= |$))/, (mark) => `${mark.slice(0, -1)}\\${mark.slice(-1)}`);
}

/** The same in the type of code; a text that would end the code span, or a cell of a table, is plain. */
export function codeSpan(text: string): string {
  const line = oneLine(text);
  return /^[^\\`<>&|]+$/.test(line) && line.trim() !== '' ? `\`${line}\`` : plainMarkdown(text);
}

/** Lines that are shown as they are; its fence is longer than any in them. */
export function codeBlock(language: string, text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** The address of a page, as it may stand in a link; undefined for anything else, such as javascript: and data: */
export function webAddress(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, href } = new URL(text);
  return protocol === 'https:' || protocol === 'http:' ? href : undefined;
}

const oneLine = (text: string): string => visibleText(text).replace(/\s+/g, ' ').trim();
