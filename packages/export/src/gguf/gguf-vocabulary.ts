import { ExportError } from '../errors.js';
import type { BpeFile } from './gguf-tokenizer.js';

/** What could not be followed of a tokenizer. */
export const unsupported = (what: string): ExportError =>
  new ExportError(
    'GGUF_UNSUPPORTED',
    `the tokenizer cannot be said in GGUF: ${what}. Byte-pair tokenizers are followed: those made from SentencePiece ` +
      'models (Llama 2, Mistral), and byte-level ones that split text as GPT-2, StarCoder or Llama 3 do',
  );

/** Llama 3's, as its tokenizer.json and llama.cpp have it. */
const llama3Split =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

interface Step {
  readonly type?: unknown;
  readonly [option: string]: unknown;
}

/** The step of a normalizer or pre-tokenizer, or the steps of its sequence. */
function stepsOf(value: unknown, list: 'normalizers' | 'pretokenizers'): readonly Step[] {
  if (value === null || value === undefined) return [];
  const step = value as Step;
  return step.type === 'Sequence' && Array.isArray(step[list]) ? (step[list] as Step[]) : [step];
}

/** The name that llama.cpp has for the way in which a byte-level tokenizer splits text before it merges. */
export function byteLevelPreTokenizer({ normalizer, pre_tokenizer: pre, model }: BpeFile): string {
  if (normalizer !== null && normalizer !== undefined)
    throw unsupported(
      `it normalizes text (${JSON.stringify(normalizer).slice(0, 120)}), which byte-level ones there do not`,
    );
  const steps = stepsOf(pre, 'pretokenizers');
  const bytes = steps.at(-1);
  const before = steps.slice(0, -1);
  const refused = unsupported(`llama.cpp has no name for its pre_tokenizer, ${JSON.stringify(pre).slice(0, 300)}`);
  if (bytes?.type !== 'ByteLevel' || bytes['add_prefix_space'] === true) throw refused;
  const splitsAsGpt2 = bytes['use_regex'] !== false;
  let name: string | undefined;
  if (before.length === 0 && splitsAsGpt2) name = 'gpt-2';
  else if (before.length === 1) {
    const [step] = before as [Step];
    if (step.type === 'Digits' && step['individual_digits'] === true && splitsAsGpt2) name = 'starcoder';
    const pattern = (step['pattern'] as { Regex?: unknown } | undefined)?.Regex;
    const isolates = step.type === 'Split' && step['behavior'] === 'Isolated' && step['invert'] !== true;
    if (isolates && pattern === llama3Split && !splitsAsGpt2) name = 'llama-bpe';
  }
  if (name === undefined) throw refused;
  // llama.cpp takes a whole word that is a token as it is for Llama 3 alone.
  if (model.ignore_merges !== (name === 'llama-bpe'))
    throw unsupported(`it has ignore_merges ${model.ignore_merges}, and llama.cpp's ${name} has not`);
  return name;
}

/**
 * SentencePiece's scores, and whether a text gets a space before it. SentencePiece joins the two neighbours whose whole has
 * the best score; a tokenizer.json made from it lists for each whole, best first, all its pairs. Where a list is another,
 * scores would join what the list does not: that is refused.
 */
export function sentencePieceScores(file: BpeFile, tokens: readonly string[]): { scores: number[]; prefix: boolean } {
  const prefix = spacePrefix(file);
  const { vocab, merges } = file.model;
  const listed = new Map<string, Set<string>>();
  let last: string | undefined;
  for (const [left, right] of merges) {
    const whole = left + right;
    if (listed.has(whole) && last !== whole)
      throw unsupported(`its merges give ${JSON.stringify(whole)} in two places, so no score stands for both`);
    last = whole;
    listed.set(whole, (listed.get(whole) ?? new Set()).add(left));
  }
  for (const [whole, lefts] of listed) {
    for (let at = 1; at < whole.length; at++) {
      const [left, right] = [whole.slice(0, at), whole.slice(at)];
      if (Object.hasOwn(vocab, left) && Object.hasOwn(vocab, right) && !lefts.has(left))
        throw unsupported(`its merges lack ${JSON.stringify([left, right])}, which SentencePiece would join`);
    }
  }
  const scores = new Map([...listed.keys()].map((whole, rank) => [whole, -rank]));
  return { scores: tokens.map((token) => scores.get(token) ?? 0), prefix };
}

/** Spaces become ▁, and one is put before a text or not: by a normalizer (Llama 2) or a Metaspace pre-tokenizer. */
function spacePrefix({ normalizer, pre_tokenizer: pre }: BpeFile): boolean {
  const normalizers = stepsOf(normalizer, 'normalizers');
  const [metaspace, ...more] = stepsOf(pre, 'pretokenizers');
  const refused = unsupported(
    `it prepares text by ${JSON.stringify({ normalizer, pre_tokenizer: pre }).slice(0, 300)}, which is not SentencePiece's way`,
  );
  if (metaspace !== undefined) {
    const { type, replacement, prepend_scheme: scheme, split } = metaspace;
    if (more.length > 0 || normalizers.length > 0 || type !== 'Metaspace' || replacement !== '▁' || split !== false)
      throw refused;
    return scheme !== 'never';
  }
  const prepends = normalizers[0]?.type === 'Prepend';
  const replace = normalizers[prepends ? 1 : 0];
  const replaces =
    replace?.type === 'Replace' &&
    replace['content'] === '▁' &&
    (replace['pattern'] as { String?: unknown } | undefined)?.String === ' ';
  if (!replaces || normalizers.length !== (prepends ? 2 : 1) || (prepends && normalizers[0]!['prepend'] !== '▁'))
    throw refused;
  return prepends;
}
