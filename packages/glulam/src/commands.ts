import { existsSync } from 'node:fs';
import path from 'node:path';
import { generateText } from '@glulam/model';
import { openEvaluators, openModel, readExamples, train } from '@glulam/trainer';
import { numberOption, overridesFrom, type Arguments } from './arguments.js';
import { GlulamError } from './errors.js';
import { loadConfig, type LoadedConfig } from './load-config.js';

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  run(args: Arguments, signal: AbortSignal): Promise<void>;
}

const configHelp = `  --KEY.PATH VALUE  overrides any value of the config, such as --train.steps 10 or --adapter.r 16`;

export const trainCommand: Command = {
  name: 'train',
  summary: 'train an adapter as a config file says',
  help: `glulam train CONFIG [options]

CONFIG is a .ts, .js, .json or .yaml file. The run folder (out) gets the resolved config, the events as JSON lines and
the adapter in PEFT's format.

  --out FOLDER      the run folder (default: the config's, or runs/latest)
${configHelp}`,
  async run(args, signal) {
    const { config, composition } = await loadConfig(
      onePositional(args, 'train', 'CONFIG'),
      overridesFrom(args.options),
    );
    for (const warning of composition.warnings) process.stderr.write(`${warning}\n`);
    await train(config, composition, { signal });
  },
};

export const evalCommand: Command = {
  name: 'eval',
  summary: 'score a run, or the untrained model of a config',
  help: `glulam eval RUN|CONFIG [options]

RUN is a run folder: its adapter is scored. CONFIG is a config file: the model is scored as it is before training.
Prints one JSON line an evaluator.

${configHelp}`,
  async run(args, signal) {
    const { loaded, adapterFolder } = await loadRunOrConfig(
      onePositional(args, 'eval', 'RUN or CONFIG'),
      overridesFrom(args.options),
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
      const { heldOut: file, prompt, maxTokens } = config.data;
      const heldOut = file === undefined ? [] : await readExamples({ file, prompt, maxTokens }, tokenizer);
      for (const { kind, evaluator } of chosen) {
        const scores = await evaluator.evaluate({ decoder, tokenizer, heldOut, signal });
        process.stdout.write(`${JSON.stringify({ evaluator: kind, ...scores })}\n`);
      }
    } finally {
      await model.close();
    }
  },
};

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

export const commands: readonly Command[] = [trainCommand, evalCommand, generateCommand];

function onePositional({ positional }: Arguments, command: string, what: string): string {
  if (positional.length !== 1) {
    throw new GlulamError(
      'USAGE',
      `glulam ${command} takes one ${what}, got ${positional.length}; see glulam ${command} --help`,
    );
  }
  return positional[0]!;
}

/** A run folder stands for its config and its adapter. */
async function loadRunOrConfig(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
): Promise<{ loaded: LoadedConfig; adapterFolder: string | undefined }> {
  const config = path.join(name, 'config.json');
  const adapter = path.join(name, 'adapter');
  if (existsSync(config) && existsSync(adapter))
    return { loaded: await loadConfig(config, overrides), adapterFolder: adapter };
  if (existsSync(name) && path.extname(name) !== '')
    return { loaded: await loadConfig(name, overrides), adapterFolder: undefined };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither a run folder (with config.json and adapter/) nor a config file; train one: glulam train CONFIG`,
  );
}
