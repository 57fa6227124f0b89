import { createHash } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { cacheFolder, makeFolder } from '@glulam/files';
import { z } from 'zod';
import type { Addon } from './addon.js';
import { candidatesOf, choiceText, measureChoice, onlyOn, readChoice, type KernelChoice } from './kernel-choice.js';

const fileSchema = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as SyntaxError).message });
      return z.NEVER;
    }
  })
  .pipe(z.object({ version: z.literal(1), processor: z.string(), choice: z.string() }));

/** A machine's choice, and where it is from. */
interface MachineChoice {
  readonly choice: KernelChoice;
  /** The file that keeps it, or why none does. */
  readonly origin: string;
}

/**
 * The choice for this machine: the one that its file in the cache folder holds, or else what a measurement
 * gives, which is then kept there. Of processes that measure at once, the first one's choice is everyone's, so that
 * they compute alike.
 */
export function machineChoice(addon: Addon, version: string): MachineChoice {
  const { isas } = addon;
  const [only, ...others] = candidatesOf(isas, 'bfloat16');
  if (others.length === 0) return { choice: onlyOn(only!), origin: 'the only candidate' };

  const processor = cpus()[0]?.model.trim() ?? process.arch;
  const key = createHash('sha256')
    .update([version, processor, ...isas].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const file = path.join(cacheFolder(), 'native-kernels', `${key}.json`);
  const kept = readKept(file, isas);
  if (kept !== undefined) return { choice: kept, origin: file };
  const choice = measureChoice(addon);
  const content = JSON.stringify({ version: 1, processor, choice: choiceText(choice) }, null, 2);
  try {
    keep(file, `${content}\n`, (other) => readChoiceFile(other, isas) !== undefined);
  } catch (error) {
    return { choice, origin: `measured, not kept: ${(error as Error).message}` };
  }
  return { choice: readKept(file, isas) ?? choice, origin: file };
}

function readKept(file: string, isas: Addon['isas']): KernelChoice | undefined {
  return existsSync(file) ? readChoiceFile(readFileSync(file, 'utf8'), isas) : undefined;
}

/** @returns undefined for a damaged file */
function readChoiceFile(text: string, isas: Addon['isas']): KernelChoice | undefined {
  const parsed = fileSchema.safeParse(text);
  return parsed.success ? readChoice(parsed.data.choice, isas) : undefined;
}

/** Under its name the file is whole, and the first good one written stays. */
function keep(file: string, content: string, isGood: (text: string) => boolean): void {
  makeFolder(path.dirname(file));
  const temporary = `${file}.${process.pid}-${process.hrtime.bigint()}.tmp`;
  writeFileSync(temporary, content, { flag: 'wx' });
  try {
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isGood(readFileSync(file, 'utf8'))) renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}
