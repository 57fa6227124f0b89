import { evaluateAll, openData, openEvaluators } from '@glulam/trainer';
import { numberOption } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { stderr, stdout } from '../output.js';
import { adapterFlags, adapterHelp, openChosen } from './chosen-model.js';
import { configHelp, type Command } from './command.js';

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
    const model = await openChosen('eval', args, Object.fromEntries(overrides), signal);
    try {
      const { config, composition, decoder, tokenizer } = model;
      const chosen = openEvaluators(config, composition, limit === undefined ? {} : { limit });
      if (chosen.length === 0)
        throw new GlulamError(
          'USAGE',
          'there is nothing to evaluate: name a file as data.heldOut, or choose evaluators in evaluate.evaluators',
        );
      const data = await openData(config, composition, tokenizer, { signal, only: 'heldOut' });
      const { heldOut } = data;
      data.close();
      const warn = (message: string): void => void stderr.write(`${message}\n`);
      const context = { decoder, tokenizer, heldOut, signal, warn };
      for await (const { name, scores } of evaluateAll(chosen, context, { samples }))
        stdout.writeJson(`${JSON.stringify({ evaluator: name, ...scores })}\n`);
    } finally {
      await model.close();
    }
  },
};
