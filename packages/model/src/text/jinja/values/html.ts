import { spendText } from '../rendering.js';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

/** `markupsafe.escape` of a text. */
export function escapeHtml(text: string): string {
  spendText(text.length);
  return text.replace(/[&<>'"]/g, (character) => entities[character]!);
}
