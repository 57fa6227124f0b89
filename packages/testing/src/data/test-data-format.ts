import type { DataFormat, RowText, SkippedRow } from '@glulam/trainer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

type Row = Readonly<Record<string, unknown>>;

/** What `testDataFormat` tries. */
export interface DataFormatCases {
  /** Rows that are used, with the text expected of them; `options` default to none. */
  readonly valid: readonly { readonly row: Row; readonly options?: unknown; readonly text: RowText }[];
  /** Rows that are left out, with a part of the reason. */
  readonly skipped: readonly { readonly row: Row; readonly options?: unknown; readonly reason: RegExp }[];
  /** Rows of other formats, which must not be taken for this one. */
  readonly others: readonly Row[];
}

/** Put in the place of a row's texts to see whether a reason repeats them. */
const marker = 'zqxj-4711';

/**
 * The contract of a data format: it knows its rows, gives plain records, changes nothing, never throws, and says why it
 * leaves a row out without repeating the row.
 */
export function testDataFormat<Options>(
  format: DataFormat<Options>,
  { valid, skipped, others }: DataFormatCases,
): void {
  const read = (row: Row, options: unknown = {}) => format.read(row, format.schema.parse(options));

  describe(`data format ${format.kind}`, () => {
    test.each(valid)('reads $row', ({ row, options, text }) => {
      const before = JSON.stringify(row);
      const got = read(row, options);
      expect(got).toEqual(text);
      expect(read(row, options)).toEqual(got);
      expect(JSON.stringify(row)).toBe(before);
      // It goes to another thread: it survives JSON.
      expect(JSON.parse(JSON.stringify(got))).toEqual(got);
      if (options === undefined) expect(format.matches(row)).toBe(true);
      expect(told(read(withMarkers(row) as Row, options))).not.toContain(marker);
    });

    test.each(skipped)('leaves $row out', ({ row, options, reason }) => {
      expect(read(row, options)).toEqual({ skip: expect.stringMatching(reason) as string });
      expect(told(read(withMarkers(row) as Row, options))).not.toContain(marker);
    });

    test.each(others)('does not take %j for its own', (row) => {
      expect(format.matches(row)).toBe(false);
    });

    if (format.ask !== undefined)
      test('a row that asks a question is one of its own, with the question, and without the answer before it', () => {
        const [question, answer] = ['What is {it}?\n', 'zq-answer'];
        const options = format.schema.parse({});
        const row = format.ask!(question, {}, answer, options);
        expect(format.matches(row)).toBe(true);
        const text = format.read(row, options);
        expect('skip' in text ? text.skip : undefined).toBeUndefined();
        const said = 'messages' in text ? text.messages.slice(0, -1) : { ...text, answer: '', completion: '' };
        expect(JSON.stringify(said)).toContain(JSON.stringify(question).slice(1, -1));
        expect(JSON.stringify(said)).not.toContain(answer);
        expect(JSON.stringify(text)).toContain(answer);
      });

    test('says what its rows look like', () => expect(format.shape).toMatch(/^\{.*\}$/));

    test('never throws, whatever JSON a row is', () => {
      // Rows like the valid ones with parts replaced, where the fault is deeper than the first look.
      const json = fc.jsonValue();
      const seeds = [...valid, ...skipped].map(({ row }) => row);
      const mutated = fc.tuple(fc.constantFrom(...seeds), fc.nat(), json).map(([row, at, part]) => {
        const paths = pathsOf(row);
        return replaced(row, paths[at % paths.length]!, part) as Row;
      });
      const row = fc.oneof(fc.dictionary(fc.string(), json), mutated);
      fc.assert(
        fc.property(row, (each) => {
          const before = JSON.stringify(each);
          expect(typeof format.matches(each)).toBe('boolean');
          for (const column of format.columns?.(each, format.schema.parse({})) ?? [])
            expect(column).toBeTypeOf('string');
          const got = read(each);
          expect(read(each)).toEqual(got);
          expect(JSON.stringify(each)).toBe(before);
          checkShape(got);
        }),
        { numRuns: 500, seed: 1 },
      );
    });
  });
}

/** What people are told of a row: it is counted by these words and printed. */
const told = (got: RowText | SkippedRow): string => ('skip' in got ? got.skip : (got.notes ?? []).join());

/** What `read` gave is one of the things that it may give, and nothing besides. */
function checkShape(got: object): void {
  const texts = (...keys: string[]): void => {
    for (const key of keys) expect(typeof (got as Record<string, unknown>)[key], key).toBe('string');
    expect(Object.keys(got).filter((key) => !['notes', 'promptColumns'].includes(key) && !keys.includes(key))).toEqual(
      [],
    );
  };
  if ('skip' in got) return texts('skip');
  if ('notes' in got) {
    for (const note of got.notes as unknown[]) expect(typeof note).toBe('string');
  }
  if ('question' in got) {
    if ('promptColumns' in got)
      expect(got.promptColumns).toEqual((got.promptColumns as unknown[]).map(() => expect.any(String) as string));
    return texts('question', 'answer', ...('prompt' in got ? ['prompt'] : []));
  }
  if ('prompt' in got) return texts('prompt', 'completion');
  if ('text' in got) return texts('text');
  const { messages, tools, contextOnly } = got as {
    messages: readonly { readonly role: string }[];
    tools?: readonly unknown[];
    contextOnly?: readonly number[];
  };
  expect(Object.keys(got).filter((key) => !['messages', 'tools', 'contextOnly', 'notes'].includes(key))).toEqual([]);
  expect(messages.length).toBeGreaterThan(0);
  for (const message of messages) expect(message).toMatchObject({ role: expect.any(String) as string });
  for (const tool of tools ?? []) expect(tool).toBeTypeOf('object');
  for (const index of contextOnly ?? []) expect(messages[index]!.role).toBe('assistant');
}

/** A copy with the marker in every text. */
function withMarkers(value: unknown): unknown {
  if (typeof value === 'string') return value === '' ? '' : `${marker} ${value}`;
  if (Array.isArray(value)) return value.map(withMarkers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withMarkers(each)]));
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  const children =
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([key, each]) =>
          pathsOf(each, [...path, Array.isArray(value) ? Number(key) : key]),
        );
  return path.length === 0 ? (children.length === 0 ? [[marker]] : children) : [path, ...children];
}

function replaced(value: unknown, [key, ...rest]: Path, part: unknown): unknown {
  if (key === undefined) return part;
  if (Array.isArray(value)) return value.map((each, i) => (i === key ? replaced(each, rest, part) : (each as unknown)));
  const record = value as Record<string, unknown>;
  return { ...record, [key]: replaced(record[key], rest, part) };
}
