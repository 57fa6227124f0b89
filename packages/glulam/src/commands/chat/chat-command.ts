import { createConversation } from '@glulam/model';
import { chatHelp, createChatCommands } from './slash-commands.js';
import { noteEndOfTurn } from '../../cli/note-end-of-turn.js';
import { noteGenerationDefaults } from '../../cli/note-generation-defaults.js';
import { createQuestionChat } from './question-chat.js';
import { runChat } from './run-chat.js';
import { GlulamError } from '../../errors.js';
import { overridesFrom } from '../../cli/arguments.js';
import { openModel } from '../../models/open-model.js';
import { adapterFlags, adapterHelp, adaptersAmong } from '../../models/chosen-model.js';
import { onePositional, type Command } from '../../cli/command.js';
import { checkColumns, columnsAmong, promptFormOf, quoteForm } from '../../runs/run-prompt.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from '../../cli/sampling-options.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

const maxTokens = 512;

export const chatCommand: Command = {
  name: 'chat',
  summary: 'talk with a trained run, or with a base',
  help: `glulam chat RUN|CONFIG|BASE [options]

A run that was trained on questions with answers is asked as in training: each line is a question of its own, written into
the run's prompt, and earlier ones are not shown to the model. Otherwise turns are written as the base's chat template has
them, or the one that --data.chatTemplate names (plain: a line a turn, for bases without one). Lines are read from a pipe too: answers go to stdout, all else to stderr.

  --system TEXT       the system message
  --COLUMN TEXT       another column of the run's prompt, such as --context, the same for each question
  --chat-template     turns of the chat template, whatever the run was trained on
${samplingHelp(maxTokens)}
${adapterHelp}

In the chat:
${chatHelp.replace(/^/gm, '  ')}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const { options } = args;
    const known = ['system', 'chat-template', ...samplingNames, ...adapterFlags];
    const columns = columnsAmong(options, known);
    const overrides = overridesFrom(overridesAmong('chat', options, [...known, ...Object.keys(columns)]));
    const { system } = options;
    if (system === true) throw new GlulamError('USAGE', '--system is without a value; see glulam chat --help');
    const generate = samplingOptions(options, maxTokens);
    const name = onePositional(args, 'chat', 'RUN, CONFIG or BASE');
    const model = await openModel(name, { adapters: adaptersAmong(args), overrides, signal, ...terminalNotices() });
    try {
      const { decoder, tokenizer } = model;
      const isTemplate = options['chat-template'] !== undefined || options['data.chatTemplate'] !== undefined;
      const found = isTemplate ? undefined : await promptFormOf(model, 'conversation');
      const form = found?.kind === 'question' ? found : undefined;
      checkColumns('chat', form, columns, known);
      if (form === undefined && tokenizer.chatTemplate === undefined)
        throw new GlulamError(
          'USAGE',
          `${decoder.checkpoint.folder} has no chat template; name a file of one, or the plain one: --data.chatTemplate plain`,
        );
      const conversation =
        form === undefined
          ? createConversation(decoder, tokenizer)
          : createQuestionChat(decoder, tokenizer, form, columns);
      try {
        const commands = createChatCommands(model, conversation, system);
        const [input, output, notes] = [process.stdin, stdout, stderr];
        const terminal = input.isTTY && output.isTTY;
        noteGenerationDefaults(decoder.checkpoint.documents, options, notes);
        if (form === undefined) noteEndOfTurn(tokenizer, notes);
        else
          notes.write(
            `each line is a question of its own, written as in training: ${quoteForm(form)}; earlier ones are not shown to the model (--chat-template talks in turns)\n`,
          );
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
