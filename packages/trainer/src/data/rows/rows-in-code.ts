import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { TrainerError } from '../../errors.js';
import type { DataRow } from './data-row.js';

/** A row as a data file would have it: JSON's values; whole numbers beyond 2^53 as bigints. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Rows that are passed in code: a list or another iterable that begins anew each time it is iterated, or a function that
 * gives the same rows whenever it is called. They are read more than once: to hash, to recognize and to tokenize them, and
 * again by whoever resumes the run.
 */
export type RowsInCode = Iterable<Row> | AsyncIterable<Row> | (() => Iterable<Row> | AsyncIterable<Row>);

/** What a config holds in the place of rows that were passed in code. */
export interface RowsIdentity {
  /** Rows in all. */
  readonly count: number;
  /** Of the rows' text, in hexadecimal. */
  readonly sha256: string;
}

/** How long JavaScript is kept from anything else, in milliseconds: a list of rows never waits. */
const longestTurn = 20;

/**
 * Count and hash rows.
 *
 * @param place for messages, such as `data.train`
 * @throws TrainerError DATA_INVALID with the row's number; the signal's reason when it is aborted
 */
export async function identifyRows(
  rows: RowsInCode,
  place: string,
  signal?: AbortSignal,
): Promise<RowsIdentity & { readonly characters: number }> {
  const hash = createHash('sha256');
  let [count, characters] = [0, 0];
  for await (const { text } of readTexts(rows, place, signal)) {
    hash.update(text).update('\n');
    count += 1;
    characters += text.length;
  }
  return { count, sha256: hash.digest('hex'), characters };
}

/**
 * The rows themselves. At their end they are compared with what the config says of them.
 *
 * @throws TrainerError DATA_INVALID
 */
export async function* readRowsInCode(
  rows: RowsInCode,
  identity: RowsIdentity,
  place: string,
  signal?: AbortSignal,
): AsyncGenerator<DataRow> {
  const hash = createHash('sha256');
  let number = 0;
  for await (const { value, text } of readTexts(rows, place, signal)) {
    hash.update(text).update('\n');
    yield { number: ++number, value };
  }
  if (hash.digest('hex') === identity.sha256) return;
  throw new TrainerError(
    'DATA_INVALID',
    `${place} gives other rows than when it was read before (${number} rows, then ${identity.count}); rows are read more than once: pass a list, or a function that gives the same rows at every call`,
  );
}

async function* readTexts(
  rows: RowsInCode,
  place: string,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly value: unknown; readonly text: string }> {
  let number = 0;
  let rested = performance.now();
  for await (const value of typeof rows === 'function' ? givenBy(rows, place) : rows) {
    number += 1;
    if (performance.now() - rested > longestTurn) {
      await setImmediate();
      rested = performance.now();
    }
    signal?.throwIfAborted();
    yield { value, text: textOf(value, `${place}, row ${number}`) };
  }
}

type IterableRows = Iterable<Row> | AsyncIterable<Row>;

/** @throws TrainerError DATA_INVALID where a function gives nothing to iterate */
function givenBy(rows: () => IterableRows, place: string): IterableRows {
  const given: unknown = rows();
  const isObject = typeof given === 'object' && given !== null;
  if (isObject && (Symbol.iterator in given || Symbol.asyncIterator in given)) return given as IterableRows;
  if (given instanceof Promise) given.catch(() => undefined); // reported here
  const got =
    given instanceof Promise
      ? 'a promise'
      : isObject
        ? 'a record'
        : typeof given === 'string'
          ? 'a text'
          : typeof given === 'function'
            ? 'a function'
            : String(given);
  throw new TrainerError(
    'DATA_INVALID',
    `${place}.rows is a function that gives ${got}; expected a list, or another iterable or async iterable of rows, such as { rows: () => readMyRows() }${given instanceof Promise ? ' with async function* readMyRows()' : ''}`,
  );
}

/** A row as a text, another one for another row. */
function textOf(row: unknown, place: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(row, function (this: Record<string, unknown>, key, _: unknown) {
      // Not what toJSON made of it.
      const value = this[key];
      if (typeof value === 'bigint') return { '\u0000int': String(value) };
      if (typeof value === 'number') return Number.isFinite(value) ? value : { '\u0000float': String(value) };
      if (typeof value === 'function' || typeof value === 'symbol') throw notData(place, key, `a ${typeof value}`);
      if (typeof value !== 'object' || value === null) return value;
      if (value instanceof Number) return { '\u0000float': String(value) };
      if (value instanceof Map) return { '\u0000map': [...(value as Map<string, unknown>)] };
      // A row itself may be of any class, as drivers of databases make them.
      if (value !== row && !Array.isArray(value) && !isPlain(value))
        throw notData(place, key, `a ${value.constructor?.name ?? 'special object'}`);
      return value;
    });
  } catch (cause) {
    if (cause instanceof TrainerError) throw cause;
    throw new TrainerError('DATA_INVALID', `${place} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return text ?? 'undefined';
}

/** By its prototypes, whichever realm it comes from. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const notData = (place: string, key: string, got: string): TrainerError =>
  new TrainerError(
    'DATA_INVALID',
    `${place} has ${got} as "${key}"; expected what JSON has: texts, numbers, true, false, null, lists and records`,
  );
