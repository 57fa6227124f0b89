import { invalid } from '../component.js';

// SentencePiece's compiled normalization rules: a size, a double-array trie of that many bytes, and the texts to put in,
// each ending with a zero. A key's value is the offset of its text.

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The normalizer that a `precompiled_charsmap` in base64 is. */
export function createPrecompiled(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64');
  const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
  if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length)
    throw invalid('its normalizer Precompiled has a precompiled_charsmap that is cut short');
  const units = new Uint32Array(size / 4);
  for (let at = 0; at < units.length; at++) units[at] = bytes.readUInt32LE(4 + 4 * at);
  const texts = bytes.subarray(4 + size);

  const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  /** The text for the shortest key that a chunk begins with. */
  const lookUp = (chunk: string): string | undefined => {
    let at = offsetOf(units[0]!);
    for (const byte of encoder.encode(chunk)) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at];
      if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
      at ^= offsetOf(unit);
      if (((unit >>> 8) & 1) === 1) {
        const start = units[at]! & 0x7fffffff;
        return decoder.decode(texts.subarray(start, texts.indexOf(0, start)));
      }
    }
    return undefined;
  };
  const found = new Map<string, string | null>();
  const replacement = (chunk: string): string | null => {
    let text = found.get(chunk);
    if (text === undefined) {
      text = lookUp(chunk) ?? null;
      if (found.size >= 10_000) found.clear();
      found.set(chunk, text);
    }
    return text;
  };

  const normalizeCluster = (cluster: string): string => {
    const whole = cluster.length < 6 && Buffer.byteLength(cluster) < 6 ? replacement(cluster) : null;
    if (whole !== null) return whole;
    let result = '';
    for (const character of cluster) result += replacement(character) ?? character;
    return result;
  };
  return (text) => {
    let result = '';
    // Below U+0300 only CR LF is a cluster of several characters: segmenting is needed around the others alone.
    for (const [run, simple] of text.matchAll(
      /([\0-\t\v\f\x0e-\u02ff]+(?![\u0300-\u{10ffff}]))|[^]+?(?=[\0-\t\v\f\x0e-\u02ff]{2}|$)/gu,
    )) {
      if (simple === undefined) for (const { segment } of segmenter.segment(run)) result += normalizeCluster(segment);
      else for (const character of run) result += replacement(character) ?? character;
    }
    return result;
  };
}
