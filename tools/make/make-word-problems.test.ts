import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openTokenizer } from '@glulam/model';
import { afterAll, describe, expect, it } from 'vitest';
import { makeWordProblems, toJsonLines } from './make-word-problems.mjs';

const root = path.resolve(import.meta.dirname, '../..');
const trainFile = path.join(root, 'examples/data/word-problems.train.jsonl');
const heldOutFile = path.join(root, 'examples/data/word-problems.heldout.jsonl');
const testFile = path.join(root, 'examples/data/word-problems.test.jsonl');
const rowsOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { question: string; answer: string });
const train = rowsOf(trainFile);
const heldOut = rowsOf(heldOutFile);
const test = rowsOf(testFile);
const all = [...train, ...heldOut, ...test];

const scratch = mkdtempSync(path.join(tmpdir(), 'glulam-word-problems-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const outFile = path.join(scratch, 'out.jsonl');

function runScript(...args: string[]) {
  const script = path.join(import.meta.dirname, 'make-word-problems.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
}

/** The value of "3 + 4 + 5" or "84 / 7": terms joined by one sign, left to right. */
function evaluate(expression: string): number {
  const [first, ...rest] = expression.split(' ');
  let value = Number(first);
  for (let i = 0; i < rest.length; i += 2) {
    const [sign, term] = [rest[i], Number(rest[i + 1])];
    if (sign === '+') value += term;
    else if (sign === '-') value -= term;
    else if (sign === '*') value *= term;
    else value /= term;
  }
  return value;
}

describe('the shipped files', () => {
  it('come byte for byte from their seeds', () => {
    expect(train).toHaveLength(800);
    expect(heldOut).toHaveLength(64);
    expect(test).toHaveLength(200);
    for (const [file, ...args] of [
      [trainFile, '--count', '800', '--seed', '1'],
      [heldOutFile, '--count', '64', '--seed', '5', '--avoid', trainFile],
      [testFile, '--count', '200', '--seed', '30', '--avoid', trainFile],
    ] as [string, ...string[]][]) {
      expect(runScript(...args, '--out', outFile)).toMatchObject({ status: 0, stderr: '' });
      expect(readFileSync(outFile, 'utf8') === readFileSync(file, 'utf8'), file).toBe(true);
    }
  });

  it('repeat no question, neither inside nor across', () => {
    expect(new Set(all.map(({ question }) => question)).size).toBe(1064);
  });

  it('hold nothing out that the training rows have under other names', () => {
    const nameless = ({ question }: { question: string }) =>
      question.replace(/[A-Z][a-z]+/g, 'X').replace(/\b(she|he|her|his)\b/g, 'X');
    const trained = new Set(train.map(nameless));
    expect([...heldOut, ...test].filter((row) => trained.has(nameless(row)))).toEqual([]);
    const held = new Set(heldOut.map(nameless));
    expect(test.filter((row) => held.has(nameless(row)))).toEqual([]);
  });

  it('hold one to three right steps an answer, from numbers that the question states', () => {
    // Half, days in a week, eggs in a dozen, minutes in an hour: 2 is also the two lengths and widths around a field.
    const known = ['2', '7', '12', '60'];
    const stepCounts = new Set<number>();
    for (const { question, answer } of all) {
      const [reasoning, last, ...more] = answer.split('\n');
      expect(more).toEqual([]);
      const given = new Set([...known, ...(question.match(/\d+/g) ?? [])]);
      const steps = [...reasoning!.matchAll(/(\d+(?: [-+*/] \d+)+) = (\d+)/g)];
      stepCounts.add(steps.length);
      for (const [sum, expression, result] of steps) {
        expect(evaluate(expression!), sum).toBe(Number(result));
        for (const number of expression!.match(/\d+/g)!) expect(given, `${number} in: ${answer}`).toContain(number);
        given.add(result!);
      }
      expect(last, question).toBe(`#### ${steps.at(-1)![2]}`);
      expect(reasoning!.match(/\.( |$)/g)).toHaveLength(steps.length);
    }
    expect([...stepCounts].sort()).toEqual([1, 2, 3]);
  });

  it('are short plain texts that end in a question', () => {
    for (const { question, answer } of all) {
      expect(question).toMatch(/^[\x20-\x7e]+\?$/);
      expect(answer).toMatch(/^[\x20-\x7e]+\.\n#### \d+$/);
      expect(question.split(' ').length).toBeLessThanOrEqual(45);
    }
  });

  it("are of the length that the examples' settings are made for", () => {
    const tokenizer = openTokenizer(path.join(root, 'examples/models/tiny-mistral-gsm8k'));
    for (const rows of [train, heldOut, test]) {
      const lengths = rows.map((row) => tokenizer.encode(`Question: ${row.question}\nAnswer: ${row.answer}`).length);
      const mean = lengths.reduce((a, b) => a + b) / lengths.length;
      expect(mean).toBeGreaterThan(90);
      expect(mean).toBeLessThan(140);
      expect(Math.max(...lengths)).toBeLessThan(256);
    }
  });
});

describe('makeWordProblems', () => {
  it('gives the rows of a seed again, and others for another seed', () => {
    const rows = toJsonLines(makeWordProblems(50, 7));
    expect(toJsonLines(makeWordProblems(50, 7))).toBe(rows);
    expect(toJsonLines(makeWordProblems(50, 8))).not.toBe(rows);
  });

  it('leaves out what it is to avoid', () => {
    const rows = makeWordProblems(50, 7);
    const avoided = rows.slice(0, 10).map(({ question }) => question);
    const others = makeWordProblems(50, 7, avoided).map(({ question }) => question);
    expect(others.filter((question) => avoided.includes(question))).toEqual([]);
    expect(others).toHaveLength(50);
  });

  it('ends with an error when the templates are exhausted', () => {
    expect(() => makeWordProblems(1_000_000, 1)).toThrow(/no new question .* of 1000000 rows: ask for fewer rows/);
  });
});

describe('the command', () => {
  it('explains itself', () => {
    const { status, stdout } = runScript('--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/usage: .*--count N --seed S --out FILE/);
  });

  const good = { count: '5', seed: '1', out: outFile };
  const argsOf = (options: Record<string, string>) =>
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const badRow = path.join(scratch, 'bad.jsonl');
  writeFileSync(badRow, '{"question":"a?"}\n{"text":"b"}\n');

  it.each([
    ['a missing option', argsOf({ seed: '1', out: outFile }), '--count is missing'],
    ['no file', argsOf({ count: '5', seed: '1' }), '--out is missing'],
    ['a count of zero', argsOf({ ...good, count: '0' }), "--count is '0': give a whole number from 1 to"],
    ['a count that is no number', argsOf({ ...good, count: 'many' }), "--count is 'many'"],
    ['a seed over 32 bits', argsOf({ ...good, seed: '4294967296' }), "--seed is '4294967296'"],
    ['an unknown option', [...argsOf(good), '--rows', '5'], "Unknown option '--rows'"],
    ['a file to avoid without questions', argsOf({ ...good, avoid: badRow }), 'line 2: no "question"'],
  ])('refuses %s', (_, args, message) => {
    const { status, stderr } = runScript(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain('usage:');
  });
});
