import { existsSync, rmSync, truncateSync } from 'node:fs';
import { readTextFile, writeFileAtomic } from '@glulam/files';
import { configDifference } from '../../config/config-difference.js';
import { TrainerError } from '../../errors.js';
import { openReportFile } from '../../events/report-file.js';
import type { AskedSample, Sample, SampleLog } from './sample.js';

/** JavaScript's strings hold little more. */
const mostBytes = 500_000_000;

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
  /** Samples of earlier sittings. */
  readonly size: number;
  /** Leave the file as an evaluation writes it that was never cut: what was asked, in order, each once. */
  finish(): Promise<void>;
  close(): void;
}

/**
 * The samples of one evaluation as JSON lines, the first of which says what was evaluated. What a kill cut short is taken
 * off the file.
 *
 * @param onOther what happens to samples of another evaluation, or of a question that is asked otherwise now: they are an
 *   error, or are replaced
 * @throws TrainerError SAMPLES_UNUSABLE, here and in `recall` and `write`
 */
export function openSampleLog(
  file: string,
  evaluation: EvaluationIdentity,
  { onOther }: { readonly onOther: 'refuse' | 'replace' },
): SampleFile {
  const header = `${JSON.stringify({ evaluation })}\n`;
  const text = existsSync(file) ? guarded(file, () => readTextFile(file, mostBytes)) : '';
  const [first, ...lines] = wholeLines(text);
  const isNew = header.startsWith(text); // nothing, or a header that a kill cut short
  const difference = isNew || first === header ? [] : differenceOf(first ?? text, header);
  if (difference.length > 0 && onOther === 'refuse') {
    throw unusable(
      file,
      `holds the samples of another evaluation:\n  ${difference.join('\n  ')}\nName another place for these, or remove the file`,
    );
  }
  const goesOn = !isNew && difference.length === 0;
  // The samples in the file as they count, the ids of its lines, and the samples of this sitting.
  const known = new Map<number, Sample>();
  const order: number[] = [];
  const asked = new Set<number>();
  if (goesOn) {
    lines.forEach((line, index) => {
      const sample = parse(line, file, index + 2);
      known.set(sample.id, sample);
      order.push(sample.id);
    });
    const size = Buffer.byteLength(header + lines.join(''));
    guarded(file, () => truncateSync(file, size));
  } else guarded(file, () => rmSync(file, { force: true }));
  const earlier = new Map(known);
  const log = guarded(file, () => openReportFile(file));
  const append = (line: string): void => guarded(file, () => log.append(Buffer.from(line)));
  if (log.sizeBefore === 0) append(header);
  return {
    size: earlier.size,
    recall(question) {
      const sample = earlier.get(question.id);
      const fault = sample === undefined ? undefined : askedOtherwise(sample, question);
      if (fault !== undefined && onOther === 'refuse') throw unusable(file, fault);
      if (sample === undefined || fault !== undefined) return undefined;
      asked.add(sample.id);
      return sample;
    },
    write(sample) {
      asked.add(sample.id);
      const line = JSON.stringify(sample);
      if (JSON.stringify(known.get(sample.id)) === line) return;
      append(`${line}\n`);
      known.set(sample.id, sample);
      order.push(sample.id);
    },
    async finish() {
      const ids = [...asked].sort((a, b) => a - b);
      if (ids.length === order.length && ids.every((id, i) => order[i] === id)) return;
      await writeFileAtomic(file, header + ids.map((id) => `${JSON.stringify(known.get(id))}\n`).join(''));
    },
    close: () => log.close(),
  };
}

/** The lines of a text with their line feeds, but for a last one without. */
const wholeLines = (text: string): string[] => text.match(/[^\n]*\n/g) ?? [];

/** What differs: scores of both questions must not come into one evaluation. */
function askedOtherwise(sample: Sample, question: AskedSample): string | undefined {
  for (const key of ['prompt', 'choices', 'expected'] as const) {
    const [before, now] = [sample[key], question[key]].map((value) => JSON.stringify(value));
    if (before !== now)
      return `has sample ${sample.id} with another ${key} (${before}; now ${now}): the evaluator's data changed since. Name another place for these samples, or remove the file`;
  }
  return undefined;
}

function differenceOf(line: string, header: string): string[] {
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
