import { exportGguf, type GgufType } from '@glulam/export';
import { formatBytes } from '@glulam/trainer';
import { overridesFrom } from '../../cli/arguments.js';
import { openCall } from '../../call.js';
import { GlulamError } from '../../errors.js';
import { parseChoice } from '../../models/adapter-choice.js';
import { onePositional, type Command } from '../../cli/command.js';
import { adapterHelp, oneOf, openMergeSource, splitOptions } from '../merge/merge-source.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

const types: readonly GgufType[] = ['f32', 'f16', 'bf16', 'q8_0'];

export const exportCommand: Command = {
  name: 'export',
  summary: 'write a run or a checkpoint, merged, as a GGUF file for llama.cpp',
  help: `glulam export RUN|ADAPTER|CHECKPOINT|CONFIG --gguf FILE [options]

Writes one file that llama.cpp and its kin read: the merged model, its tokenizer and chat template. RUN, ADAPTER and CONFIG
are as for glulam merge; CHECKPOINT is a folder of Hugging Face's, such as one that glulam merge wrote, or a
name on the Hub. Takes a few hundred megabytes of memory, whatever the model's size. FILE must not exist, and is there when it
is whole.

  --gguf FILE       where to write
  --type TYPE       f32, f16, bf16 or q8_0: of the matrices; norms and biases are float32 (default f16)
  --base FOLDER     the base checkpoint, where it is not where the run or adapter says
${adapterHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const name = onePositional(args, 'export', 'RUN, ADAPTER, CHECKPOINT or CONFIG');
    const { own, overrides } = splitOptions('export', args, ['gguf', 'type']);
    const file = own['gguf'];
    if (file === undefined) throw new GlulamError('USAGE', 'glulam export needs a file to write: --gguf FILE');
    const type = oneOf('type', own['type'], types) ?? 'f16';
    const call = openCall({ signal, ...terminalNotices() });
    const adapters = args.lists['adapter']?.map(parseChoice);
    // What plugins made of the adapters is asked for their values while the file is written.
    try {
      const given = { adapters, overrides: overridesFrom(overrides) };
      const { source, chatTemplate } = await openMergeSource(name, given, call);
      const { layers, bytes, notes, file: written } = await exportGguf(source, { file, type, chatTemplate, signal });
      for (const note of notes) stderr.write(`note: ${note}\n`);
      stdout.write(`${layers} layers as ${type}, ${formatBytes(bytes)} in ${written}\n`);
    } finally {
      await call.end();
    }
  },
};
