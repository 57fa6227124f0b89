import type { PromptForm } from '@glulam/trainer';
import { overridesFrom } from '../../cli/arguments.js';
import { noteEndOfTurn } from '../../cli/note-end-of-turn.js';
import { noteGenerationDefaults } from '../../cli/note-generation-defaults.js';
import { GlulamError } from '../../errors.js';
import { defaultMaxTokens, generate } from './generate.js';
import { openModel } from '../../models/open-model.js';
import { adapterFlags, adapterHelp, adaptersAmong } from '../../models/chosen-model.js';
import { onePositional, type Command } from '../../cli/command.js';
import { stepHelp } from '../../runs/run-name.js';
import { checkColumns, columnsAmong, isInForm, promptFormOf, quoteForm } from '../../runs/run-prompt.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from '../../cli/sampling-options.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

export const generateCommand: Command = {
  name: 'generate',
  summary: 'continue a prompt with a trained run',
  help: `glulam generate RUN|CONFIG|BASE --question TEXT|--prompt TEXT [options]

${stepHelp}. The text is written as it is to a
file or a pipe. On a terminal its control characters are shown as \\x1b.

  --question TEXT     a question, written as those that the run was trained on: into its prompt (data.prompt, or its data
                      format's), or as a user's turn into the chat template
  --COLUMN TEXT       beside --question: another column of that prompt, such as --context or --system
  --prompt TEXT       the text to continue as it is; \\n stands for a new line
  --chat              the prompt is a user's turn, put into the base's chat template
${samplingHelp(defaultMaxTokens)}
  --stop TEXT         end before this text
${adapterHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const { options } = args;
    const known = ['question', 'prompt', 'chat', 'stop', ...samplingNames, ...adapterFlags];
    const { question, prompt, stop, chat } = options;
    const columns = question === undefined ? {} : columnsAmong(options, known);
    const overrides = overridesFrom(overridesAmong('generate', options, [...known, ...Object.keys(columns)]));
    if (question !== undefined && (prompt !== undefined || chat !== undefined))
      throw new GlulamError('USAGE', '--question is written as in training; --prompt and --chat exclude it');
    const given = question ?? prompt;
    if (typeof given !== 'string' || given === '')
      throw new GlulamError('USAGE', 'glulam generate needs a text: --question "...", or --prompt "Question: ..."');
    // Refused before a model is opened, which may take long.
    const { maxNewTokens: maxTokens, ...sampling } = samplingOptions(options, defaultMaxTokens);
    const name = onePositional(args, 'generate', 'RUN, CONFIG or BASE');
    const model = await openModel(name, { adapters: adaptersAmong(args), overrides, signal, ...terminalNotices() });
    try {
      const { decoder, tokenizer } = model;
      const form = await promptFormOf(model);
      if (question !== undefined && form !== undefined) checkColumns('generate', form, columns, known);
      const written = given.replaceAll('\\n', '\n');
      if (question === undefined && chat !== true && model.run !== undefined && Array.isArray(model.selection))
        hintForm(form, written);
      noteGenerationDefaults(decoder.checkpoint.documents, options, stderr);
      if (question === undefined ? chat === true : form?.kind === 'conversation') noteEndOfTurn(tokenizer, stderr);
      const pieces = generate(model, {
        ...(question === undefined ? { prompt: written, chat: chat === true } : { question: given, columns }),
        ...sampling,
        maxTokens,
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

/** A model that has learnt to answer after its prompt answers badly without it, and nothing shows why. */
function hintForm(form: PromptForm | undefined, prompt: string): void {
  if (form === undefined || (form.kind === 'question' && isInForm(form, prompt))) return;
  const trained =
    form.kind === 'question'
      ? `prompts such as ${quoteForm(form)}, and --prompt is continued as it is; --question TEXT writes it so`
      : "conversations, and --prompt is continued as it is; --question TEXT makes it a user's turn";
  stderr.write(`hint: the run was trained on ${trained}\n`);
}
