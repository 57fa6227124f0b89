import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { baseOfAdapter, checkCopied } from '@glulam/export';
import { isAdapterFolder } from '@glulam/files';
import { pushFiles } from '@glulam/source-hub';
import { formatBytes, readRunSteps } from '@glulam/trainer';
import { GlulamError } from '../../errors.js';
import { stderr, stdout } from '../../cli/output.js';
import { progressLine } from '../../cli/progress-line.js';
import { onePositional, unknownOption, type Command } from '../../cli/command.js';
import { isCheckpointFolder } from '../../models/load-model.js';
import { findStep, noteHeldStep, parseRunName, stepHelp, type NamedStep } from '../../runs/run-name.js';

export const pushCommand: Command = {
  name: 'push',
  summary: 'put a run, or a merged checkpoint, on the Hugging Face Hub',
  help: `glulam push RUN|ADAPTER|CHECKPOINT --to OWNER/NAME [options]

RUN is a run folder that has ended: its adapter is pushed, with the model card (README.md, loss.svg) that the run wrote.
${stepHelp}, which are pushed without the card where it tells of another step. ADAPTER is an adapter folder, CHECKPOINT one of Hugging Face's, such as glulam merge wrote:
all their files are pushed. The repository is made if there is none. Everything is one commit, at the end: what is stopped
before changes nothing, and what was uploaded is not uploaded again.

The token that may write is taken from HF_TOKEN, or from where "hf auth login" put it.

  --to OWNER/NAME   the repository
  --revision NAME   a branch of it, made if there is none (default: main)
  --private         a repository that is made is private`,
  async run(args, signal) {
    const name = onePositional(args, 'push', 'RUN, ADAPTER or CHECKPOINT');
    const { to, revision, private: isPrivate, ...unknown } = args.options;
    const [other] = Object.keys(unknown);
    if (other !== undefined) throw unknownOption('push', other, ['to', 'revision', 'private']);
    if (typeof to !== 'string') throw new GlulamError('USAGE', 'glulam push needs a repository: --to OWNER/NAME');
    if (revision === true) throw new GlulamError('USAGE', '--revision is without a value; see glulam push --help');
    if (isPrivate !== undefined && isPrivate !== true)
      throw new GlulamError('USAGE', `--private takes no value, got "${isPrivate}"`);
    const { files, title, base, note } = describePush(name);
    if (note !== undefined) stderr.write(`${note}\n`);
    if (base !== undefined && existsSync(base))
      stderr.write(
        `note: the adapter names its base as a folder of this machine, ${base}; who loads it has to name the base (--base). Train with a base of the Hub to have it found\n`,
      );
    const { show, clear } = progressLine(stderr);
    const { repository, commit, url, created } = await pushFiles({
      to: revision === undefined ? to : `${to}@${revision}`,
      files,
      title,
      isPrivate: isPrivate === true,
      signal,
      onProgress: (bytes, totalBytes) => show(`${formatBytes(bytes)} of ${formatBytes(totalBytes)} uploaded`),
    }).finally(clear);
    stdout.write(
      `${files.size} files in ${created ? 'the new repository ' : ''}${repository}, commit ${commit}\n${url}\n`,
    );
  },
};

interface Push {
  /** Names in the repository to files here. */
  readonly files: ReadonlyMap<string, string>;
  readonly title: string;
  readonly base?: string | undefined;
  /** For people: which step of a run it is. */
  readonly note?: string | undefined;
}

function describePush(name: string): Push {
  const step = parseRunName(name);
  if (step !== undefined) return describeStepPush(step, name);
  const inner = path.join(name, 'adapter');
  if (isAdapterFolder(inner)) {
    const card = ['README.md', 'loss.svg'].filter((file) => existsSync(path.join(name, file)));
    checkCopied(name, card);
    const files = new Map([
      ...filesOf(name, 'adapter'),
      ...card.map((file): [string, string] => [file, path.join(name, file)]),
    ]);
    return { files, title: 'Adapter trained with Glulam', base: baseOfAdapter(inner), note: noteHeldStep(name) };
  }
  if (isAdapterFolder(name))
    return { files: filesOf(name), title: 'Adapter trained with Glulam', base: baseOfAdapter(name) };
  if (isCheckpointFolder(name)) return { files: filesOf(name), title: 'Checkpoint merged with Glulam' };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither a run that has ended (with adapter/), nor an adapter folder, nor a checkpoint; train one: glulam train CONFIG, or merge one: glulam merge RUN --out FOLDER`,
  );
}

/** The card of a run tells of the adapter that its adapter folder holds: with that of another step it would be untrue. */
function describeStepPush(step: NamedStep, name: string): Push {
  const { adapterFolder, note } = findStep(step, name);
  const { held, find } = readRunSteps(step.run);
  if (held !== undefined && held.step === find(step.choice).step) return { ...describePush(step.run), note };
  const left = `${path.join(step.run, 'README.md')}, the card, is not pushed: it tells of another step`;
  return {
    files: filesOf(step.run, path.relative(step.run, adapterFolder)),
    title: 'Adapter trained with Glulam',
    base: baseOfAdapter(adapterFolder),
    note: `${note}\n${left}`,
  };
}

/**
 * The files of a folder but hidden ones, which are nobody's model.
 *
 * @param below a folder in it, whose files they are
 */
function filesOf(named: string, below = '.'): Map<string, string> {
  const folder = path.join(named, below);
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name);
  checkCopied(
    named,
    names.map((file) => path.join(below, file)),
  );
  return new Map(names.sort().map((file) => [file, path.resolve(folder, file)]));
}
