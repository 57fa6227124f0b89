import { createHash } from 'node:crypto';
import path from 'node:path';
import { cacheFolder } from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import type { Example } from '../step/batches.js';
import { configError } from '../config/choices.js';
import { defaultSteps, type DataSources, type RunConfig } from '../config/config.js';
import { createBatches, type Batches } from './batch-source.js';
import { chooseFormat } from './choose-format.js';
import type { DataReport } from './store/data-report.js';
import { createDraws, type Draw } from './draws.js';
import { splitView, viewOf, type FileView, type OpenFile } from './store/file-view.js';
import { splitHeldOut } from './held-out.js';
import { givenRows } from '../config/given-in-code.js';
import { codeSource, fileSource } from './row-source.js';
import { shownDate } from './prompt/run-date.js';
import { expandFiles } from './rows/expand-files.js';
import type { TokenStore } from './store/token-store.js';
import { tokenizeFile } from './store/tokenize-file.js';

/** The data of a run, tokenized. Training examples are read from disk as they are drawn. */
export interface TrainingData {
  /** Of all training files. */
  readonly examples: number;
  /** One for each file and use. */
  readonly files: readonly DataFile[];
  /** One a file and use. */
  readonly reports: readonly DataReport[];
  /** Of all tokens of all files: other data has another one. */
  readonly sha256: string;
  /** All held-out examples, in memory. */
  readonly heldOut: readonly Example[];
  /** The batches of a run, the same for the same seed; `drawn`: go on behind so many examples. */
  batches(drawn: number): BatchSource;
  /**
   * Optimizer steps that so many passes over the data take. A pass is as many examples as there are in all training
   * files; where files have weights, some come round more often in it than others.
   */
  stepsIn(epochs: number): number;
  /** Of the batches of so many steps the one with the most tokens. */
  largestBatch(steps: number): readonly Example[];
  /** Release the tokenized data; examples cannot be read after it. */
  close(): void;
}

/** Batches of examples. */
export type BatchSource = Batches<Example>;

/** A file in one of its uses. */
export interface DataFile extends Omit<FileView, 'weight'> {
  /** Share of it in the examples drawn for training; of held-out data 0. */
  readonly share: number;
}

/** A file among those that a folder or pattern stands for. */
export interface FilePlace {
  /** From 1. */
  readonly number: number;
  /** Files in all. */
  readonly of: number;
}

/** Options of `openData`. */
export interface OpenDataOptions {
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** `heldOut`: leave the training data alone, as far as it can be. */
  readonly only?: 'heldOut' | undefined;
  /** Threads that tokenize; default: by the file's size and the machine. What comes out is the same. */
  readonly workers?: number | undefined;
  /**
   * Called now and then while a file is tokenized: how many of its rows were read, and where a name stands for several
   * files, which of them it is.
   */
  readonly onProgress?: ((file: string, rows: number, among?: FilePlace) => void) | undefined;
}

/**
 * Read, tokenize and mix the data that a config names. `tokenizer` is the one that `openRunTokenizer` opens for it.
 *
 * @throws TrainerError DATA_UNREADABLE, DATA_INVALID (a file that is broken, or rows that no format reads), DATA_EMPTY,
 *   CONFIG_INVALID, ENCODING_FAILED, CACHE_WRITE_FAILED
 */
export async function openData(
  config: RunConfig,
  composition: Composition,
  tokenizer: Tokenizer,
  options: OpenDataOptions = {},
): Promise<TrainingData> {
  const { signal, only, workers, onProgress } = options;
  const { train, heldOut, prompt, loss, maxTokens, rewrittenTurns, cache } = config.data;
  const chatTemplate = tokenizer.chatTemplate?.source;
  const settings = { loss, maxTokens, rewrittenTurns, chatTemplate, date: shownDate(tokenizer) };
  const stores: TokenStore[] = [];
  const openAll = async (place: string, sources: DataSources): Promise<OpenFile[]> => {
    const opened: OpenFile[] = [];
    for (const { file, rows, format: choice, weight } of listOf(sources)) {
      const group: Omit<OpenFile, 'weight'>[] = [];
      const found =
        rows === undefined
          ? expandFiles(file).map(fileSource)
          : [codeSource(givenRows(composition, rows, place), rows)];
      for (const [index, source] of found.entries()) {
        const among = found.length === 1 ? undefined : { number: index + 1, of: found.length };
        const tell = (file: string, rows: number): void => onProgress?.(file, rows, among);
        if (among !== undefined) tell(source.name, 0);
        const format = await chooseFormat(composition, source, choice, signal);
        const store = await tokenizeFile({
          ...{ source, format, prompt, tokenizer, settings, signal, workers, onProgress: tell },
          cache: cache ?? path.join(cacheFolder(), 'tokens'),
        });
        stores.push(store);
        group.push({ file: source.name, store });
      }
      // The files of one name share its weight, by their examples.
      const examples = group.reduce((sum, { store }) => sum + store.count, 0);
      for (const each of group) opened.push({ ...each, weight: weight && weight * (each.store.count / examples) });
    }
    return opened;
  };
  const close = (): void => {
    for (const store of stores.splice(0)) store.close();
  };
  try {
    const setApart = typeof heldOut === 'number' ? heldOut : undefined;
    const trainFiles = only === 'heldOut' && setApart === undefined ? [] : await openAll('data.train', train);
    const heldOutFiles =
      heldOut === undefined || typeof heldOut === 'number' ? [] : await openAll('data.heldOut', heldOut);
    const sha256 = createHash('sha256');
    for (const store of stores) sha256.update(store.sha256);
    const views =
      setApart === undefined ? viewsOf(trainFiles, heldOutFiles) : setRowsApart(trainFiles, setApart, config);
    return { ...trainingData(config, views), sha256: sha256.digest('hex'), close };
  } catch (error) {
    close();
    throw error;
  }
}

interface Views {
  readonly train: readonly FileView[];
  readonly heldOut: readonly FileView[];
}

const viewsOf = (train: readonly OpenFile[], heldOut: readonly OpenFile[]): Views => ({
  train: train.map((each) => viewOf('train', each)),
  heldOut: heldOut.map((each) => viewOf('heldOut', each)),
});

/** `data.heldOut` as a number: both sides come from the training files. */
function setRowsApart(files: readonly OpenFile[], wanted: number, { seed }: RunConfig): Views {
  const stores = files.map(({ store }) => store);
  const split = splitHeldOut(stores, wanted, seed);
  const sides = files.map((each, i) => splitView(each, split[i]!));
  const emptied = sides.find(({ train }) => train.weight !== undefined && train.report.examples === 0);
  if (emptied !== undefined) {
    throw configError([
      `data.heldOut sets all rows of ${emptied.train.report.file} apart, which has a weight; lower it, or leave the file out`,
    ]);
  }
  return {
    train: sides.map(({ train }) => train),
    heldOut: sides.map(({ heldOut }) => heldOut).filter(({ report }) => report.examples > 0),
  };
}

function trainingData(config: RunConfig, { train, heldOut }: Views): Omit<TrainingData, 'sha256' | 'close'> {
  const { batch, accumulate } = config.train;
  const drawSources = train.map(({ report, weight }) => ({ count: report.examples, weight }));
  const examples = drawSources.reduce((sum, { count }) => sum + count, 0);
  const amounts = drawSources.map(({ count, weight }) => weight ?? count);
  const whole = amounts.reduce((sum, amount) => sum + amount, 0);
  const lengthOf = ({ source, index }: Draw): number => train[source]!.length(index);
  const files = [
    ...train.map(({ report, length, example }, i) => ({ report, length, example, share: amounts[i]! / whole })),
    ...heldOut.map(({ report, length, example }) => ({ report, length, example, share: 0 })),
  ];
  return {
    examples,
    files,
    reports: files.map(({ report }) => report),
    heldOut: heldOut.flatMap(({ report, example }) => Array.from({ length: report.examples }, (_, i) => example(i))),
    batches: (drawn) =>
      createBatches(createDraws(drawSources, config.seed, drawn), drawn, batch, lengthOf, ({ source, index }) =>
        train[source]!.example(index),
      ),
    stepsIn(epochs) {
      const wanted = examples * epochs;
      if (typeof batch === 'number') return Math.ceil(wanted / batch / accumulate);
      const counted = createBatches(createDraws(drawSources, config.seed, 0), 0, batch, lengthOf, () => undefined);
      let batches = 0;
      for (; counted.drawn < wanted; batches++) counted.next();
      return Math.ceil(batches / accumulate);
    },
    largestBatch(steps) {
      const lengths = createBatches(createDraws(drawSources, config.seed, 0), 0, batch, lengthOf, (draw) => draw);
      const sizeOf = (draws: readonly Draw[]): number => draws.reduce((sum, draw) => sum + lengthOf(draw), 0);
      // Of a long run so many batches say enough: the examples have come round, or their lengths are known well.
      let largest = lengths.next();
      for (let done = 1; done < Math.min(steps * accumulate, 100_000); done++) {
        const next = lengths.next();
        if (sizeOf(next) > sizeOf(largest)) largest = next;
      }
      return largest.map(({ source, index }) => train[source]!.example(index));
    },
  };
}

/** Optimizer steps of a run. */
export function runSteps({ train }: RunConfig, data: Pick<TrainingData, 'stepsIn'>): number {
  return train.steps ?? (train.epochs === undefined ? defaultSteps : data.stepsIn(train.epochs));
}

/** Every name of files that a run reads its data from, as the config has them. */
export function dataFilesOf({ data: { train, heldOut } }: RunConfig): string[] {
  const sources = heldOut === undefined || typeof heldOut === 'number' ? [train] : [train, heldOut];
  return sources.flatMap((each) => listOf(each).flatMap(({ file }) => file ?? []));
}

function listOf(sources: DataSources) {
  const list = Array.isArray(sources) ? sources : [sources];
  return list.map((each) => {
    if (typeof each === 'string') return { file: each, rows: undefined, format: undefined, weight: undefined };
    return 'rows' in each ? { ...each, file: undefined } : { ...each, rows: undefined };
  });
}
