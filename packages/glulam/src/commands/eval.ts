import { openData, openEvaluators } from '@glulam/trainer';
import { GlulamError } from '../errors.js';
import { adapterFlags, adapterHelp, openChosen } from './chosen-model.js';
import { configHelp, type Command } from './command.js';

export const evalCommand: Command = {
  name: 'eval',
  summary: 'score a run, or the untrained model of a config',
  help: `glulam eval RUN|CONFIG|BASE [options]

RUN is a run folder, whose adapter is scored, or one of its checkpoints (RUN/checkpoints/step-...). CONFIG is a config
file: the model is scored as it is before training. BASE is a checkpoint, scored by what the options choose, such as
--evaluate.evaluators. Prints one JSON line an evaluator.

${adapterHelp}
${configHelp}`,
  repeatable: ['adapter'],
  async run(args, signal) {
    const overrides = Object.entries(args.options).filter(([name]) => !adapterFlags.includes(name));
    const model = await openChosen('eval', args, Object.fromEntries(overrides), signal);
    try {
      const { config, composition, decoder, tokenizer } = model;
      const chosen = openEvaluators(config, composition);
      if (chosen.length === 0)
        throw new GlulamError(
          'USAGE',
          'there is nothing to evaluate: name a file as data.heldOut, or choose evaluators in evaluate.evaluators',
        );
      const data = await openData(config, composition, tokenizer, { signal, only: 'heldOut' });
      const { heldOut } = data;
      data.close();
      for (const { kind, evaluator } of chosen) {
        const scores = await evaluator.evaluate({ decoder, tokenizer, heldOut, signal });
        process.stdout.write(`${JSON.stringify({ evaluator: kind, ...scores })}\n`);
      }
    } finally {
      await model.close();
    }
  },
};
