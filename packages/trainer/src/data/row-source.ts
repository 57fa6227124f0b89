import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { TrainerError } from '../errors.js';
import { readRaw } from './rows/read-chunks.js';
import { dataEnding, readRows } from './rows/read-rows.js';
import { identifyRows, readRowsInCode, type RowsIdentity, type RowsInCode } from './rows/rows-in-code.js';
import type { DataRow } from './rows/data-row.js';

/** Rows under a name: a file's, or such as were passed in code. */
export interface RowSource {
  /** The file's; what is said of the rows goes by it. */
  readonly name: string;
  read(signal?: AbortSignal): AsyncIterable<DataRow>;
  /** What decides the rows: a hash of all that they are read from, how they are read, and its size in bytes. */
  identify(
    signal?: AbortSignal,
  ): Promise<{ readonly content: string; readonly ending: string; readonly bytes: number }>;
  /** After rows were read. @throws TrainerError DATA_UNREADABLE where they are no longer those that were identified */
  checkUnchanged(): void;
}

export function fileSource(file: string): RowSource {
  let known: { readonly size: number; readonly mtimeMs: number } | undefined;
  return {
    name: file,
    read: (signal) => readRows(file, signal),
    async identify(signal) {
      const hash = createHash('sha256');
      for await (const chunk of readRaw(file, signal)) hash.update(chunk);
      known = statSync(file);
      return { content: hash.digest('hex'), ending: dataEnding(file), bytes: known.size };
    },
    checkUnchanged() {
      const now = statSync(file);
      if (now.size !== known?.size || now.mtimeMs !== known.mtimeMs)
        throw new TrainerError('DATA_UNREADABLE', `${file} changed while it was read; start again`);
    },
  };
}

/** The name of rows that were passed in code, in reports and messages. */
const codeName = ({ sha256 }: RowsIdentity): string => `rows in code (${sha256.slice(0, 12)})`;

export function codeSource(rows: RowsInCode, identity: RowsIdentity): RowSource {
  const name = codeName(identity);
  return {
    name,
    read: (signal) => readRowsInCode(rows, identity, name, signal),
    async identify(signal) {
      const { characters } = await identifyRows(rows, name, signal);
      return { content: identity.sha256, ending: 'code', bytes: characters };
    },
    // `read` compares them.
    checkUnchanged() {},
  };
}
