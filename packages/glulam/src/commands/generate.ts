import { endingTurns, generateText } from '@glulam/model';
import { promptTokens, type FilledText, type PromptForm } from '@glulam/trainer';
import { overridesFrom } from '../arguments.js';
import { noteEndOfTurn } from '../chat/note-end-of-turn.js';
import { noteGenerationDefaults } from '../chat/note-generation-defaults.js';
import { GlulamError } from '../errors.js';
import { openModel } from '../open-model.js';
import { adapterFlags, adapterHelp, adaptersAmong } from './chosen-model.js';
import { onePositional, type Command } from './command.js';
import { stepHelp } from './run-name.js';
import { askAs, checkColumns, columnsAmong, isInForm, promptFormOf, quoteForm } from './run-prompt.js';
import { overridesAmong, samplingHelp, samplingNames, samplingOptions } from './sampling-options.js';
import { terminalNotices } from './terminal-notices.js';
import { stderr, stdout } from '../output.js';

const maxTokens = 256;

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
${samplingHelp(maxTokens)}
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
    const name = onePositional(args, 'generate', 'RUN, CONFIG or BASE');
    // Refused before a model is opened, which may take long.
    const sampling = samplingOptions(options, maxTokens);
    const model = await openModel(name, { adapters: adaptersAmong(args), overrides, signal, ...terminalNotices() });
    try {
      const { decoder, tokenizer } = model;
      const form = await promptFormOf(model);
      const text = ((): FilledText => {
        if (question !== undefined) {
          if (form === undefined) throw noForm(name);
          checkColumns('generate', form, columns, known);
          return askAs(form, given, columns);
        }
        const written = given.replaceAll('\\n', '\n');
        if (chat === true) return { messages: [{ role: 'user', content: written }] };
        if (model.run !== undefined && Array.isArray(model.selection)) hintForm(form, written);
        return { text: written };
      })();
      const isChat = 'messages' in text;
      if (isChat && tokenizer.chatTemplate === undefined)
        throw new GlulamError(
          'USAGE',
          `the base has no chat template; ${chat === true ? 'leave --chat out' : 'name one: --data.chatTemplate plain, or a file'}`,
        );
      const ids = promptTokens(tokenizer, text);
      const plain = { ...sampling, stop: typeof stop === 'string' ? [stop] : [], signal };
      noteGenerationDefaults(decoder.checkpoint.folder, options, stderr);
      if (isChat) noteEndOfTurn(tokenizer, stderr);
      const pieces = generateText(decoder, tokenizer, ids, isChat ? endingTurns(tokenizer, plain) : plain);
      const output = stdout.generated();
      for await (const piece of pieces) output.write(piece);
      output.end();
      stdout.write('\n');
    } finally {
      await model.close();
    }
  },
};

const noForm = (name: string): GlulamError =>
  new GlulamError(
    'USAGE',
    `nothing says how ${name} was asked questions in training: name a run that was trained on questions or conversations, ` +
      `give the text as it is with --prompt, or say the form: --data.prompt '"Question: {question}\\nAnswer:"'`,
  );

/** A model that has learnt to answer after its prompt answers badly without it, and nothing shows why. */
function hintForm(form: PromptForm | undefined, prompt: string): void {
  if (form === undefined || (form.kind === 'question' && isInForm(form, prompt))) return;
  const trained =
    form.kind === 'question'
      ? `prompts such as ${quoteForm(form)}, and --prompt is continued as it is; --question TEXT writes it so`
      : "conversations, and --prompt is continued as it is; --question TEXT makes it a user's turn";
  stderr.write(`hint: the run was trained on ${trained}\n`);
}
