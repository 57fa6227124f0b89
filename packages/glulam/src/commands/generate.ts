import { endingTurns, generateText } from '@glulam/model';
import { noteEndOfTurn } from '../chat/note-end-of-turn.js';
import { noteGenerationDefaults } from '../chat/note-generation-defaults.js';
import { GlulamError } from '../errors.js';
import { stderr, stdout } from '../output.js';
import { adapterFlags, adapterHelp, openChosen } from './chosen-model.js';
import type { Command } from './command.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from './sampling-options.js';

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
    const overrides = overridesAmong('generate', options, known);
    const { prompt, stop, chat } = options;
    if (typeof prompt !== 'string' || prompt === '')
      throw new GlulamError('USAGE', 'glulam generate needs a text: --prompt "Question: ..."');
    const { decoder, tokenizer, close } = await openChosen('generate', args, overrides, signal, { data: false });
    try {
      const text = prompt.replaceAll('\\n', '\n');
      if (chat === true && tokenizer.chatTemplate === undefined)
        throw new GlulamError('USAGE', 'the base has no chat template; leave --chat out');
      const ids =
        chat === true
          ? tokenizer.encode(
              tokenizer.chatTemplate!.render([{ role: 'user', content: text }], { addGenerationPrompt: true }),
              { addSpecialTokens: false },
            )
          : tokenizer.encode(text);
      const plain = { ...samplingOptions(options, maxTokens), stop: typeof stop === 'string' ? [stop] : [], signal };
      noteGenerationDefaults(decoder.checkpoint.folder, options, stderr);
      if (chat === true) noteEndOfTurn(tokenizer, stderr);
      const pieces = generateText(decoder, tokenizer, ids, chat === true ? endingTurns(tokenizer, plain) : plain);
      const output = stdout.generated();
      for await (const piece of pieces) output.write(piece);
      output.end();
      stdout.write('\n');
    } finally {
      await close();
    }
  },
};
