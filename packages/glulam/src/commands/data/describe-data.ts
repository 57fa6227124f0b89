import path from 'node:path';
import type { Tokenizer } from '@glulam/model';
import {
  describeSkipped,
  sumReports,
  visibleLine,
  visibleText,
  type DataFile,
  type RunConfig,
  type TrainingData,
} from '@glulam/trainer';
import { sampleLines } from './sample-lines.js';

interface DescribeOptions {
  /** Examples to show. */
  readonly samples: number;
  readonly colour: boolean;
  /** Width of the output. */
  readonly columns: number;
}

const count = (value: number): string => value.toLocaleString('en-US');
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const plural = (value: number, one: string): string => `${count(value)} ${one}${value === 1 ? '' : 's'}`;

/** What `glulam data` prints. */
export function describeData(
  data: TrainingData,
  config: RunConfig,
  tokenizer: Tokenizer,
  options: DescribeOptions,
): string[] {
  const training = data.files.filter(({ report }) => report.use === 'train');
  return [
    ...groupsOf(data.files).flatMap((file) => [...fileLines(file, config.data.maxTokens, options), '']),
    ...mixtureLines(training, data, config),
    ...(options.samples === 0
      ? []
      : ['', `examples as the model reads them, what it learns ${options.colour ? 'in green' : 'between ⟦ and ⟧'}:`]),
    ...samplesOf(training, options.samples).flatMap(({ file, index }) => [
      '',
      `${shortName(file)}, example ${count(index + 1)} of ${count(file.report.examples)}: ${plural(file.length(index), 'token')}`,
      ...sampleLines(file.example(index), tokenizer, options),
    ]),
  ];
}

const shortName = ({ report }: Pick<DataFile, 'report'>): string =>
  visibleLine(path.relative(process.cwd(), report.file) || report.file);

/** What is told of a file, or of many as if they were one. */
type Described = Pick<DataFile, 'report' | 'length'> & { readonly name: string };

/** Of more files of one use only what they come to is told. */
const mostFiles = 10;

function groupsOf(files: readonly DataFile[]): Described[] {
  return (['train', 'heldOut'] as const).flatMap((use) => {
    const own = files.filter(({ report }) => report.use === use);
    if (own.length <= mostFiles) return own.map((file) => ({ ...file, name: shortName(file) }));
    const lengths = own.flatMap((file) => Array.from({ length: file.report.examples }, (_, i) => file.length(i)));
    const name = `${count(own.length)} files, ${shortName(own[0]!)} to ${shortName(own.at(-1)!)} (name one of them to see it: --data.${use} FILE)`;
    return [{ name, report: sumReports(own.map(({ report }) => report)), length: (i) => lengths[i]! }];
  });
}

function fileLines(file: Described, maxTokens: number, options: DescribeOptions): string[] {
  const { use, format, rows, examples, tokens, trainedTokens, skipped, notes } = file.report;
  const bold = (text: string): string => (options.colour ? `\u001b[1m${text}\u001b[22m` : text);
  const left = skipped.reduce((sum, each) => sum + each.count, 0);
  return [
    `${bold(visibleLine(file.name))}: ${use === 'train' ? 'training' : 'held out'}, read as ${visibleLine(format)}`,
    `  ${plural(rows, 'row')}${left === 0 ? '' : `, ${count(left)} of them left out`}`,
    ...describeSkipped(skipped).map((line) => `    ${visibleText(line)}`),
    ...notes.map(({ note, count: times }) => `    in ${plural(times, 'row')}: ${visibleText(note)}`),
    `  ${plural(examples, 'example')} of ${plural(tokens, 'token')}, ${count(trainedTokens)} of them learnt (${percent(trainedTokens / tokens)})`,
    ...lengthLines(file, maxTokens, options.columns),
  ];
}

/** How long examples are: classes of equal, round width, about ten where there are many examples. */
function lengthLines(file: Described, maxTokens: number, columns: number): string[] {
  const lengths = Float64Array.from({ length: file.report.examples }, (_, i) => file.length(i)).sort();
  const [shortest, longest] = [lengths[0]!, lengths.at(-1)!];
  const median = lengths[Math.floor(lengths.length / 2)]!;
  const width = roundWidth((longest - shortest + 1) / Math.min(10, Math.ceil(Math.sqrt(lengths.length))));
  const first = Math.floor(shortest / width);
  const classes = Array.from({ length: Math.floor(longest / width) - first + 1 }, () => 0);
  for (const length of lengths) classes[Math.floor(length / width) - first]! += 1;
  const most = Math.max(...classes);
  const digits = count((first + classes.length) * width).length;
  const room = Math.max(8, Math.min(48, columns - 2 * digits - 24));
  return [
    `  ${count(shortest)} to ${plural(longest, 'token')} an example, half of them up to ${count(median)}; data.maxTokens is ${count(maxTokens)}`,
    ...classes.map((amount, i) => {
      const from = (first + i) * width;
      const label = `${count(from).padStart(digits)} to ${count(from + width - 1).padStart(digits)}`;
      const bar = '█'.repeat(amount === 0 ? 0 : Math.max(1, Math.round((amount / most) * room)));
      return `    ${label}  ${bar}${bar === '' ? '' : ' '}${count(amount)}`;
    }),
  ];
}

/** The next of 1, 2, 5, 10, 20, 50, ... */
function roundWidth(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, atLeast)));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= atLeast)!;
}

function mixtureLines(training: readonly DataFile[], data: TrainingData, config: RunConfig): string[] {
  const { epochs, steps } = config.train;
  const pass = `a pass over the data is ${plural(data.examples, 'example')}, ${plural(data.stepsIn(1), 'step')}`;
  const run = steps ?? (epochs === undefined ? 100 : data.stepsIn(epochs));
  const shares = (training.length > mostFiles ? [] : training).map(
    (file) => `  ${percent(file.share).padStart(6)}  ${shortName(file)}`,
  );
  return [
    ...(shares.length > 1 ? ['examples are drawn in these shares:', ...shares] : []),
    `${pass}; this run takes ${count(run)}`,
  ];
}

/** Examples to show: of the files in turn, of each from its beginning. */
function samplesOf(files: readonly DataFile[], samples: number): { file: DataFile; index: number }[] {
  const found: { file: DataFile; index: number }[] = [];
  for (let index = 0; found.length < samples; index++) {
    const having = files.filter(({ report }) => index < report.examples);
    if (having.length === 0) break;
    found.push(...having.map((file) => ({ file, index })));
  }
  return found.slice(0, samples);
}
