import { numberOption, overridesFrom } from '../../cli/arguments.js';
import { GlulamError } from '../../errors.js';
import { evaluate } from './evaluate.js';
import { adapterFlags, adapterHelp, adaptersAmong } from '../../models/chosen-model.js';
import { configHelp, onePositional, type Command } from '../../cli/command.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stdout } from '../../cli/output.js';

const own = ['limit', 'samples'];

export const evalCommand: Command = {
  name: 'eval',
  summary: 'score a run, or the untrained model of a config',
  help: `glulam eval RUN|CONFIG|BASE [options]

RUN is a run folder, whose adapter is scored, or one of its checkpoints (RUN/checkpoints/step-...). CONFIG is a config
file: the model is scored as it is before training. BASE is a checkpoint's folder or its name on the
Hub, scored by what the options choose, such as --evaluate.evaluators. Prints one JSON line an evaluator.

  --limit N           only so many questions, or held-out examples, of each evaluator
  --samples FOLDER    keep every sample's prompt, output and scores as FOLDER/EVALUATOR.jsonl; what was interrupted
                      goes on from there, as long as model, options and data are the same
${adapterHelp}
${configHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const limit = numberOption(args.options, 'limit');
    const { samples } = args.options;
    if (samples === true) throw new GlulamError('USAGE', '--samples is without a value; expected a folder');
    const overrides = Object.entries(args.options).filter(([name]) => ![...adapterFlags, ...own].includes(name));
    await evaluate(onePositional(args, 'eval', 'RUN, CONFIG or BASE'), {
      ...terminalNotices(),
      adapters: adaptersAmong(args),
      overrides: overridesFrom(Object.fromEntries(overrides)),
      limit,
      samples,
      signal,
      onEvaluation: ({ evaluator, scores }) => stdout.writeJson(`${JSON.stringify({ evaluator, ...scores })}\n`),
    });
  },
};
