import { laterControls, laterDecompositions, laterMarks, laterNonspacing } from '../patterns/later-characters.js';

type NormalForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

// What a table of Unicode 9 takes for characters of no class: they neither decompose nor move nor combine.
const unknown = new RegExp(`([${laterMarks}${laterDecompositions}]+)`, 'v');
const plain = /^[\0-\x7f]*$/;

/** A normal form as the tokenizers library computes it, by Unicode 9. */
export function normalForm(text: string, form: NormalForm): string {
  if (plain.test(text)) return text;
  if (!unknown.test(text)) return text.normalize(form);
  // Every other part is one of unknown characters.
  return text
    .split(unknown)
    .map((part, index) => (index % 2 === 1 ? part : part.normalize(form)))
    .join('');
}

const marks = new RegExp(`[[\\p{M}\\u1cf2\\u1cf3]--[${laterMarks}]]`, 'gv');
const nonspacing = new RegExp(`[[\\p{Mn}\\u1734\\u{1171e}]--[${laterNonspacing}]]`, 'gv');
const controls = new RegExp(`[[\\p{Cc}\\p{Cf}\\p{Co}\\0\\ufffd]--[\\t\\n\\r${laterControls}]]`, 'gv');

export const withoutMarks = (text: string): string => text.replace(marks, '');
export const withoutNonspacingMarks = (text: string): string => text.replace(nonspacing, '');
export const withoutControls = (text: string): string => text.replace(controls, '');

/** Lower case, character by character: what stands around a character (a final sigma) does not count. */
export function lowerCase(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text.toLowerCase();
  let result = '';
  for (const character of text) result += character.toLowerCase();
  return result;
}
