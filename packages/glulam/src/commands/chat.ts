import { createConversation } from '@glulam/model';
import { chatHelp, createChatCommands } from '../chat/chat-commands.js';
import { noteEndOfTurn } from '../chat/note-end-of-turn.js';
import { noteGenerationDefaults } from '../chat/note-generation-defaults.js';
import { runChat } from '../chat/run-chat.js';
import { GlulamError } from '../errors.js';
import { overridesFrom } from '../arguments.js';
import { openModel } from '../open-model.js';
import { adapterFlags, adapterHelp, adaptersAmong } from './chosen-model.js';
import { onePositional, type Command } from './command.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from './sampling-options.js';
import { terminalNotices } from './terminal-notices.js';
import { stderr, stdout } from '../output.js';

const maxTokens = 512;

export const chatCommand: Command = {
  name: 'chat',
  summary: 'talk with a trained run, or with a base',
  help: `glulam chat RUN|CONFIG|BASE [options]

Turns are written as the base's chat template has them, or the one that --data.chatTemplate names (plain: a line a turn,
for bases without one). Lines are read from a pipe too: answers go to stdout, all else to stderr.

  --system TEXT       the system message
${samplingHelp(maxTokens)}
${adapterHelp}

In the chat:
${chatHelp.replace(/^/gm, '  ')}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const { options } = args;
    const overrides = overridesFrom(overridesAmong('chat', options, ['system', ...samplingNames, ...adapterFlags]));
    const { system } = options;
    if (system === true) throw new GlulamError('USAGE', '--system is without a value; see glulam chat --help');
    const generate = samplingOptions(options, maxTokens);
    const name = onePositional(args, 'chat', 'RUN, CONFIG or BASE');
    const model = await openModel(name, { adapters: adaptersAmong(args), overrides, signal, ...terminalNotices() });
    try {
      const { decoder, tokenizer } = model;
      if (tokenizer.chatTemplate === undefined)
        throw new GlulamError(
          'USAGE',
          `${decoder.checkpoint.folder} has no chat template; name a file of one, or the plain one: --data.chatTemplate plain`,
        );
      const conversation = createConversation(decoder, tokenizer);
      try {
        const commands = createChatCommands(model, conversation, system);
        const [input, output, notes] = [process.stdin, stdout, stderr];
        const terminal = input.isTTY && output.isTTY;
        noteGenerationDefaults(decoder.checkpoint.folder, options, notes);
        noteEndOfTurn(tokenizer, notes);
        if (terminal) notes.write('/help lists commands; Ctrl-D ends\n');
        await runChat({ input, output, notes, terminal }, { conversation, commands, generate, signal });
      } finally {
        conversation.close();
      }
    } finally {
      await model.close();
    }
  },
};
