import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenizer } from './tokenizer.js';

// What Python's tokenizers and transformers make of texts (fixtures/tokenizers/kinds), and what is made of them here.
const folder = fileURLToPath(new URL('../../../../fixtures/tokenizers/kinds/', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'glulam-kinds-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let folders = 0;
function folderOf(files: Record<string, unknown>): string {
  const path = join(scratch, String(folders++));
  mkdirSync(path);
  for (const [name, value] of Object.entries(files)) writeFileSync(join(path, name), JSON.stringify(value));
  return path;
}

describe('kinds of tokenizers', () => {
  /** Ids without special tokens, their text, and their text without special tokens where it is another. */
  type Row = [ids: number[] | string, shown: string, skipped?: string];
  interface Kind {
    tokenizer: { normalizer: { normalizers?: { precompiled_charsmap?: unknown }[] } | null };
    before: number[];
    after: number[];
    rows: Row[];
    single: string[];
    special: number[];
  }
  const { texts, long, charsmaps, kinds } = JSON.parse(
    gunzipSync(readFileSync(join(folder, 'kinds.json.gz'))).toString(),
  ) as { texts: string[]; long: string; charsmaps: string[]; kinds: Record<string, Kind> };
  const all = [...texts, 'a'.repeat(100_000), long];

  /** As Python's json.dumps writes it, so that digests compare. */
  const digest = (value: unknown): string => {
    const text = JSON.stringify(value).replace(
      /[\x80-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    return createHash('sha256').update(text).digest('hex').slice(0, 16);
  };

  it('has 16 or more kinds and 400 texts', () => {
    expect(Object.keys(kinds).length).toBeGreaterThanOrEqual(16);
    expect(all).toHaveLength(400);
  });

  it.each(Object.entries(kinds))('%s: ids and texts are those of the tokenizers library', (_, kind) => {
    for (const step of kind.tokenizer.normalizer?.normalizers ?? [])
      if (typeof step.precompiled_charsmap === 'number')
        step.precompiled_charsmap = charsmaps[step.precompiled_charsmap];
    const tokenizer = openTokenizer(folderOf({ 'tokenizer.json': kind.tokenizer }));
    kind.rows.forEach(([ids, shown, skipped = shown], index) => {
      const keep = (value: unknown): unknown => (all[index]!.length > 1000 ? digest(value) : value);
      const plain = tokenizer.encode(all[index]!, { addSpecialTokens: false });
      const full = tokenizer.encode(all[index]!);
      const found = {
        text: all[index]!.slice(0, 100),
        ids: keep(plain),
        shown: keep(tokenizer.decode(full, { skipSpecialTokens: false })),
        skipped: keep(tokenizer.decode(full)),
      };
      expect(found).toEqual({ text: all[index]!.slice(0, 100), ids, shown, skipped });
      expect(full).toEqual([...kind.before, ...plain, ...kind.after]);
    });
    const every = kind.single.map((_, id) => id);
    expect(every.map((id) => tokenizer.decode([id], { skipSpecialTokens: false }))).toEqual(kind.single);
    const hidden = every.filter((id) => kind.single[id] !== '' && tokenizer.decode([id]) === '');
    expect(hidden).toEqual(kind.special);
  });
});

describe('files beside tokenizer.json', () => {
  interface Case {
    name: string;
    files: Record<string, unknown>;
    bos: number | null;
    eos: number | null;
    pad: number | null;
    size: number;
    rows: [ids: number[], shown: string, skipped: string][];
  }
  const { texts, tokenizer, cases } = JSON.parse(readFileSync(join(folder, 'transformers.json'), 'utf8')) as {
    texts: string[];
    tokenizer: object;
    cases: Case[];
  };

  it.each(cases)('$name: as transformers', ({ files, bos, eos, pad, size, rows }) => {
    const opened = openTokenizer(folderOf({ 'tokenizer.json': tokenizer, ...files }));
    expect(opened).toMatchObject({
      bosId: bos ?? undefined,
      eosId: eos ?? undefined,
      padId: pad ?? undefined,
      vocabularySize: size,
    });
    rows.forEach(([ids, shown, skipped], index) => {
      const text = texts[index]!;
      expect({ text, ids: opened.encode(text) }).toEqual({ text, ids });
      expect(opened.decode(ids, { skipSpecialTokens: false })).toBe(shown);
      expect(opened.decode(ids)).toBe(skipped);
    });
  });
});
