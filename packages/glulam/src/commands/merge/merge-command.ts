import type { MergedDtype } from '@glulam/export';
import { formatBytes } from '@glulam/trainer';
import { overridesFrom } from '../../cli/arguments.js';
import { GlulamError } from '../../errors.js';
import { merge } from './merge.js';
import { parseChoice } from '../../models/adapter-choice.js';
import { onePositional, type Command } from '../../cli/command.js';
import { adapterHelp, oneOf, splitOptions } from './merge-source.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

const dtypes: readonly MergedDtype[] = ['float32', 'bfloat16', 'float16'];

export const mergeCommand: Command = {
  name: 'merge',
  summary: 'fold a run into a plain checkpoint with weights for every virtual layer',
  help: `glulam merge RUN|ADAPTER|CHECKPOINT|CONFIG --out FOLDER [options]

Writes a checkpoint that transformers, vLLM and the like read as any other: as many layers as there are virtual ones, each
with weights of its own, adapters, gates and residual scales folded in; config.json, tokenizer, chat template and a model
card beside them. RUN is a run folder or one of its checkpoints, ADAPTER an adapter folder, CHECKPOINT a folder of Hugging
Face's or a name on the Hub, CONFIG a config file, whose layers are merged untrained. Takes a few hundred megabytes of
memory, whatever the model's size.

FOLDER must not exist. It is filled as .NAME.merging beside its place, and renamed when all is there: a merge that was
stopped or killed goes on from its finished files when the same command is given again.

  --out FOLDER      where to write
  --dtype TYPE      float32, bfloat16 or float16 (default: as the base stores each tensor)
  --base FOLDER     the base checkpoint, where it is not where the run or adapter says
${adapterHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const name = onePositional(args, 'merge', 'RUN, ADAPTER, CHECKPOINT or CONFIG');
    const { own, overrides } = splitOptions('merge', args, ['out', 'dtype']);
    const { out } = own;
    if (out === undefined) throw new GlulamError('USAGE', 'glulam merge needs a place to write to: --out FOLDER');
    const dtype = oneOf('dtype', own['dtype'], dtypes);
    const { folder, layers, parameters, bytes } = await merge(name, {
      ...terminalNotices(),
      out,
      dtype,
      adapters: args.lists['adapter']?.map(parseChoice),
      overrides: overridesFrom(overrides),
      signal,
      onShard: ({ file, bytes: size, kept }) =>
        stderr.write(`${file}  ${formatBytes(size)}${kept ? '  finished before' : ''}\n`),
    });
    stdout.write(
      `${layers} layers, ${parameters.toLocaleString('en-US')} parameters, ${formatBytes(bytes)} in ${folder}\n`,
    );
  },
};
