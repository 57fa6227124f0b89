import { generateText } from '@glulam/model';
import { openModel } from '@glulam/trainer';
import { numberOption, overridesFrom } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { loadRunOrConfig, onePositional, type Command } from './command.js';

export const generateCommand: Command = {
  name: 'generate',
  summary: 'continue a prompt with a trained run',
  help: `glulam generate RUN|CONFIG --prompt TEXT [options]

  --prompt TEXT       the text to continue; \\n stands for a new line
  --chat              the prompt is a user's turn, put into the base's chat template
  --max-tokens N      at most so many new tokens (default 256)
  --temperature T     0, the default, takes the most likely token each time
  --top-k K, --top-p P, --seed N
  --stop TEXT         end before this text`,
  async run(args, signal) {
    const known = ['prompt', 'chat', 'max-tokens', 'temperature', 'top-k', 'top-p', 'seed', 'stop'];
    const unknown = Object.keys(args.options).find((name) => !known.includes(name) && !name.includes('.'));
    if (unknown !== undefined)
      throw new GlulamError(
        'USAGE',
        `glulam generate has no option --${unknown}; it has ${known.map((name) => `--${name}`).join(', ')}`,
      );
    const { prompt, stop, chat } = args.options;
    if (typeof prompt !== 'string' || prompt === '')
      throw new GlulamError('USAGE', 'glulam generate needs a text: --prompt "Question: ..."');
    const overrides = overridesFrom(
      Object.fromEntries(Object.entries(args.options).filter(([name]) => name.includes('.'))),
    );
    const { loaded, adapterFolder } = await loadRunOrConfig(
      onePositional(args, 'generate', 'RUN or CONFIG'),
      overrides,
      signal,
      { data: false },
    );
    const model = await openModel(
      loaded.config,
      loaded.composition,
      adapterFolder === undefined ? {} : { adapterFolder },
    );
    try {
      const { decoder, tokenizer } = model;
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
      const pieces = generateText(decoder, tokenizer, ids, {
        maxNewTokens: numberOption(args.options, 'max-tokens') ?? 256,
        temperature: numberOption(args.options, 'temperature'),
        topK: numberOption(args.options, 'top-k'),
        topP: numberOption(args.options, 'top-p'),
        seed: numberOption(args.options, 'seed'),
        stop: typeof stop === 'string' ? [stop] : [],
        signal,
      });
      for await (const piece of pieces) process.stdout.write(piece);
      process.stdout.write('\n');
    } finally {
      await model.close();
    }
  },
};
