import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  openSafetensors,
  readFloats,
  readTextFile,
  removeLeftovers,
  writeFolderAtomic,
  writeSafetensors,
} from '@glulam/files';
import type { Decoder } from '@glulam/model';
import { z } from 'zod';
import { TrainerError } from '../errors.js';
import type { Averages, Optimizer, OptimizerState } from '../step/optimizer.js';

/**
 * Where a run stands between two steps. Random draws are functions of the seed and the step, so these numbers are the
 * whole random state.
 */
const progressSchema = z.strictObject({
  version: z.literal(1),
  /** Optimizer steps done. */
  step: z.int().min(0),
  /** Examples drawn: the position in the data. */
  drawn: z.int().min(0),
  /** Engine, instruction set and threads: the same losses, bit for bit, follow only on the same ones. */
  engine: z.string(),
  /** What the engine chose for its machine by itself: it is asked for the same again. */
  choice: z.string().optional(),
  /** What the data came to, so that other data under the same name is noticed; `sha256` of its tokens. */
  data: z.strictObject({ examples: z.int(), tokens: z.int(), sha256: z.string() }),
  /** The base's `CheckpointTensors.identity`, or `sampleHash` of its files; checkpoints of older versions have none. */
  base: z.string().optional(),
});
const stateSchema = progressSchema.extend({
  /** Every other file of the checkpoint. */
  files: z.record(z.string(), z.strictObject({ bytes: z.int(), sha256: z.string() })),
});

export type RunProgress = Omit<z.infer<typeof progressSchema>, 'version'>;

/** A checkpoint on disk, found whole. */
interface RunCheckpoint {
  readonly folder: string;
  /** The adapter, as in the run folder at the end. */
  readonly adapterFolder: string;
  readonly progress: RunProgress;
}

const folderOf = (runFolder: string): string => path.join(runFolder, 'checkpoints');
export const checkpointFolder = (runFolder: string, step: number): string =>
  path.join(folderOf(runFolder), `step-${String(step).padStart(8, '0')}`);

/** Write adapter, optimizer and progress as one folder: under its name it is always whole. */
export async function writeCheckpoint(
  folder: string,
  decoder: Decoder,
  optimizer: Optimizer,
  progress: RunProgress,
  writeAdapter: (folder: string) => Promise<void>,
): Promise<void> {
  await writeFolderAtomic(folder, async (temporary) => {
    await writeAdapter(path.join(temporary, 'adapter'));
    await writeSafetensors(
      path.join(temporary, 'optimizer.safetensors'),
      [...optimizer.averages].flatMap(([name, averages]) =>
        (['mean', 'variance'] as const).map((which) => ({
          name: `${which}/${name}`,
          shape: averages[which].shape,
          dtype: 'float32' as const,
          values: async () => (await decoder.engine.read(averages[which])) as Float32Array,
        })),
      ),
    );
    const files: z.infer<typeof stateSchema>['files'] = {};
    for (const name of await filesBelow(temporary)) files[name] = await digest(path.join(temporary, name));
    const state: z.infer<typeof stateSchema> = { version: 1, ...progress, files };
    await writeFile(path.join(temporary, 'state.json'), `${JSON.stringify(state, null, 2)}\n`);
  });
}

/**
 * The newest checkpoint of a run that is whole; undefined if the run has none yet. `onDamaged` is told of newer ones that
 * are not.
 *
 * @throws TrainerError RUN_INVALID where there are checkpoints and all of them are damaged
 */
export async function findCheckpoint(
  runFolder: string,
  onDamaged: (message: string) => void,
): Promise<RunCheckpoint | undefined> {
  if (!existsSync(folderOf(runFolder))) return undefined;
  await removeLeftovers(folderOf(runFolder));
  const damaged: string[] = [];
  for (const name of await checkpointNames(runFolder)) {
    const folder = path.join(folderOf(runFolder), name);
    const found = await readCheckpoint(folder);
    if (typeof found !== 'string') return found;
    damaged.push(`the checkpoint ${folder} is damaged and was passed over: ${found}`);
    onDamaged(damaged.at(-1)!);
  }
  if (damaged.length === 0) return undefined;
  throw new TrainerError(
    'RUN_INVALID',
    `${runFolder} cannot be resumed, none of its checkpoints is whole:\n  ${damaged.join('\n  ')}\nRemove the folder to begin again.`,
  );
}

/** The checkpoint in a folder, or what is wrong with it. */
export async function readCheckpoint(folder: string): Promise<RunCheckpoint | string> {
  const state = readState(folder);
  if (typeof state === 'string') return state;
  const { files, version: _, ...progress } = state;
  // By what lies in the folder: a damaged name may be that of a folder, or lead elsewhere.
  const present = new Set(await filesBelow(folder));
  for (const [name, expected] of Object.entries(files)) {
    if (!present.has(name)) return `${name} is missing`;
    const { bytes, sha256 } = await digest(path.join(folder, name));
    if (bytes !== expected.bytes) return `${name} has ${bytes} bytes instead of ${expected.bytes}`;
    if (sha256 !== expected.sha256) return `${name} has other content than was written`;
  }
  return { folder, adapterFolder: path.join(folder, 'adapter'), progress };
}

/** What state.json of a checkpoint says, or what is wrong with it. */
export function readState(folder: string): z.infer<typeof stateSchema> | string {
  let json: unknown;
  try {
    json = JSON.parse(readTextFile(path.join(folder, 'state.json')));
  } catch (error) {
    return `state.json cannot be read (${(error as Error).message})`;
  }
  const parsed = stateSchema.safeParse(json);
  return parsed.success ? parsed.data : `state.json says something else: ${z.prettifyError(parsed.error)}`;
}

/** The optimizer of a checkpoint that was found whole. */
export function readOptimizer({ folder, progress }: RunCheckpoint): OptimizerState {
  const tensors = openSafetensors(path.join(folder, 'optimizer.safetensors'));
  const averages = new Map<string, Averages<Float32Array>>();
  for (const full of tensors.names()) {
    if (!full.startsWith('mean/')) continue;
    const name = full.slice('mean/'.length);
    const [mean, variance] = [full, `variance/${name}`].map((each) => readFloats(tensors.source(each)));
    averages.set(name, { mean: mean!, variance: variance! });
  }
  return { steps: progress.step, averages };
}

/**
 * Remove all checkpoints but the newest `keep` up to `step`, where the run stands, and the best. Those ahead of it are
 * damaged and were passed over: counted among the newest, they would push whole ones out.
 */
export async function pruneCheckpoints(
  runFolder: string,
  { keep, step, best }: { readonly keep: number; readonly step: number; readonly best: number | undefined },
): Promise<void> {
  if (!existsSync(folderOf(runFolder))) return;
  const newest = checkpointSteps(runFolder)
    .filter((each) => each <= step)
    .slice(0, keep);
  const kept = new Set([...newest, best]);
  for (const name of await checkpointNames(runFolder)) {
    if (kept.has(stepOf(name))) continue;
    const folder = path.join(folderOf(runFolder), name);
    // Out of the way first: what is half removed must not look like a checkpoint.
    const aside = path.join(folderOf(runFolder), `.${name}.${process.pid}-00000000.tmp`);
    await rename(folder, aside);
    await rm(aside, { recursive: true, force: true });
  }
}

/** Newest first. */
async function checkpointNames(runFolder: string): Promise<string[]> {
  return newestFirst(await readdir(folderOf(runFolder)));
}

/** The steps of a run's checkpoints, newest first, whole or not. */
export function checkpointSteps(runFolder: string): number[] {
  const folder = folderOf(runFolder);
  return existsSync(folder) ? newestFirst(readdirSync(folder)).map(stepOf) : [];
}

const stepOf = (name: string): number => Number(name.slice('step-'.length));
const newestFirst = (names: readonly string[]): string[] =>
  names.filter((name) => /^step-\d{8,}$/.test(name)).sort((a, b) => stepOf(b) - stepOf(a));

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort();
}

async function digest(file: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  });
  return { bytes, sha256: hash.digest('hex') };
}
