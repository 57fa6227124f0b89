import { noteEndOfTurn } from '../chat/note-end-of-turn.js';
import { noteGenerationDefaults } from '../chat/note-generation-defaults.js';
import { GlulamError } from '../errors.js';
import { overridesFrom } from '../arguments.js';
import { generate } from '../generate.js';
import { openModel } from '../open-model.js';
import { adapterFlags, adapterHelp, adaptersAmong } from './chosen-model.js';
import { onePositional, type Command } from './command.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from './sampling-options.js';
import { terminalNotices } from './terminal-notices.js';
import { stderr, stdout } from '../output.js';

const maxTokens = 256;

export const generateCommand: Command = {
  name: 'generate',
  summary: 'continue a prompt with a trained run',
  help: `glulam generate RUN|CONFIG|BASE --prompt TEXT [options]

The text is written as it is to a file or a pipe. On a terminal its control characters are shown as \\x1b.

  --prompt TEXT       the text to continue; \\n stands for a new line
  --chat              the prompt is a user's turn, put into the base's chat template
${samplingHelp(maxTokens)}
  --stop TEXT         end before this text
${adapterHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const { options } = args;
    const known = ['prompt', 'chat', 'stop', ...samplingNames, ...adapterFlags];
    const overrides = overridesFrom(overridesAmong('generate', options, known));
    const { prompt, stop, chat } = options;
    if (typeof prompt !== 'string' || prompt === '')
      throw new GlulamError('USAGE', 'glulam generate needs a text: --prompt "Question: ..."');
    const name = onePositional(args, 'generate', 'RUN, CONFIG or BASE');
    const { maxNewTokens, ...sampling } = samplingOptions(options, maxTokens);
    const model = await openModel(name, { adapters: adaptersAmong(args), overrides, signal, ...terminalNotices() });
    try {
      noteGenerationDefaults(model.decoder.checkpoint.folder, options, stderr);
      if (chat === true) noteEndOfTurn(model.tokenizer, stderr);
      const pieces = generate(model, {
        ...sampling,
        prompt: prompt.replaceAll('\\n', '\n'),
        chat: chat === true,
        maxTokens: maxNewTokens,
        stop: typeof stop === 'string' ? [stop] : [],
        signal,
      });
      const output = stdout.generated();
      for await (const piece of pieces) output.write(piece);
      output.end();
      stdout.write('\n');
    } finally {
      await model.close();
    }
  },
};
