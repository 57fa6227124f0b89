import { openData, openEvaluators, openModel } from '@glulam/trainer';
import { overridesFrom } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { configHelp, loadRunOrConfig, onePositional, type Command } from './command.js';

export const evalCommand: Command = {
  name: 'eval',
  summary: 'score a run, or the untrained model of a config',
  help: `glulam eval RUN|CONFIG [options]

RUN is a run folder, whose adapter is scored, or one of its checkpoints (RUN/checkpoints/step-...). CONFIG is a config
file: the model is scored as it is before training. Prints one JSON line an evaluator.

${configHelp}`,
  async run(args, signal) {
    const { loaded, adapterFolder } = await loadRunOrConfig(
      onePositional(args, 'eval', 'RUN or CONFIG'),
      overridesFrom(args.options),
      signal,
    );
    const { config, composition } = loaded;
    const chosen = openEvaluators(config, composition);
    if (chosen.length === 0)
      throw new GlulamError(
        'USAGE',
        'there is nothing to evaluate: name a file as data.heldOut, or choose evaluators in evaluate.evaluators',
      );
    const model = await openModel(config, composition, adapterFolder === undefined ? {} : { adapterFolder });
    try {
      const { decoder, tokenizer } = model;
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
