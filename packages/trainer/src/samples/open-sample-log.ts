import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { writeFileAtomic } from '@glulam/tensors';
import { configDifference } from '../config-difference.js';
import { TrainerError } from '../errors.js';
import { openReportFile } from '../report-file.js';
import type { Sample, SampleLog } from './sample.js';

/** What decides an evaluation's samples: those of a file with another one are not gone on with. */
export interface EvaluationIdentity {
  readonly evaluator: string;
  readonly kind: string;
  /** As the evaluator's schema gave them, defaults filled in. */
  readonly options: unknown;
  /** `fingerprintModel`'s. */
  readonly model: string;
}

export interface SampleFile extends SampleLog {
  /** Leave the file as an evaluation writes it that was never cut: the samples in order, each once. */
  finish(): Promise<void>;
  close(): void;
}

/**
 * The samples of one evaluation as JSON lines, the first of which says what was evaluated. What a kill cut short is taken
 * off the file.
 *
 * @param onOther what happens to a file of another evaluation: it is an error, or it is replaced
 * @throws TrainerError SAMPLES_UNUSABLE, here and in `write`
 */
export function openSampleLog(
  file: string,
  evaluation: EvaluationIdentity,
  { onOther }: { readonly onOther: 'refuse' | 'replace' },
): SampleFile {
  const header = `${JSON.stringify({ evaluation })}\n`;
  const before = readLines(file);
  const difference = before === undefined ? [] : differenceOf(before[0]!, header);
  if (difference.length > 0 && onOther === 'refuse') {
    throw unusable(
      file,
      `holds the samples of another evaluation:\n  ${difference.join('\n  ')}\nName another place for these, or remove the file`,
    );
  }
  const isSame = before !== undefined && difference.length === 0;
  if (!isSame) rmSync(file, { force: true });
  const lines = isSame ? before.slice(1) : [];
  const recorded = new Map<number, Sample>();
  lines.forEach((line, index) => {
    const sample = parse(line, file, index + 2);
    recorded.set(sample.id, sample);
  });
  let isInOrder = lines.length === recorded.size && isAscending([...recorded.keys()]);
  let last = [...recorded.keys()].reduce((most, id) => Math.max(most, id), -1);
  const all = new Map(recorded);
  const log = guarded(file, () => openReportFile(file));
  const append = (text: string): void => guarded(file, () => log.append(Buffer.from(text)));
  if (log.sizeBefore === 0) append(header);
  return {
    recorded,
    write(sample) {
      const line = JSON.stringify(sample);
      const known = all.get(sample.id);
      if (known !== undefined && JSON.stringify(known) === line) return;
      append(`${line}\n`);
      isInOrder &&= sample.id > last;
      last = Math.max(last, sample.id);
      all.set(sample.id, sample);
    },
    async finish() {
      if (isInOrder) return;
      const ordered = [...all.values()].sort((a, b) => a.id - b.id);
      await writeFileAtomic(file, header + ordered.map((sample) => `${JSON.stringify(sample)}\n`).join(''));
    },
    close: () => log.close(),
  };
}

/** The whole lines of a file, undefined if it has none; one that was cut short is taken off it. */
function readLines(file: string): string[] | undefined {
  if (!existsSync(file)) return undefined;
  const text = guarded(file, () => readFileSync(file, 'utf8'));
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) guarded(file, () => truncateSync(file, Buffer.byteLength(whole)));
  return whole === '' ? undefined : whole.slice(0, -1).split('\n');
}

function differenceOf(line: string, header: string): string[] {
  if (`${line}\n` === header) return [];
  const [before, now] = [line, header].map((text) => {
    try {
      return (JSON.parse(text) as { evaluation?: unknown } | null)?.evaluation;
    } catch {
      return undefined; // no line that this wrote: told as a difference
    }
  });
  return before === undefined ? ['its first line does not say what was evaluated'] : configDifference(before, now);
}

function parse(line: string, file: string, number: number): Sample {
  try {
    const sample = JSON.parse(line) as Sample;
    if (Number.isInteger(sample.id)) return sample;
  } catch (cause) {
    throw unusable(file, `has a line ${number} that is not JSON: it was changed; remove that line or the file`, cause);
  }
  throw unusable(file, `has a line ${number} that is no sample: it was changed; remove that line or the file`);
}

const isAscending = (ids: readonly number[]): boolean => ids.every((id, i) => i === 0 || id > ids[i - 1]!);

function guarded<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const reason = cause instanceof TrainerError ? (cause.cause as Error) : (cause as Error);
    throw unusable(file, `cannot be read and written (${reason.message}); make room, or name another place`, cause);
  }
}

const unusable = (file: string, fault: string, cause?: unknown): TrainerError =>
  new TrainerError('SAMPLES_UNUSABLE', `${file} ${fault}`, { cause });
