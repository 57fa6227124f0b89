import { readFileSync } from 'node:fs';
import { describeWriteFault, isSystemError, type SystemError } from '@glulam/files';
import { nearest } from '@glulam/trainer';
import { parseArguments } from './arguments.js';
import { commands } from './commands.js';
import type { Command } from './command.js';
import { describeError } from './describe-error.js';
import { GlulamError } from '../errors.js';
import { isClosed, outputFailed, stderr, stdout } from './output.js';

const usage = `glulam: fine-tune language models deeper than the one they are made of

${commands.map(({ name, summary }) => `  glulam ${name.padEnd(10)} ${summary}`).join('\n')}

glulam COMMAND --help explains a command, glulam --version prints the version.
`;

/** Ctrl-C, how schedulers and containers say the same, and a terminal or connection that went away. */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** As shells report a program that SIGPIPE ended, which is how other programs end when the reader of a pipe goes away. */
const closedPipe = 141;

/** Run one command; the exit code is 0, or 1 with the reason on stderr (130 where a signal ended it, 141 a closed pipe). */
export async function main(words: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => {
    // Twice means now.
    if (controller.signal.aborted) process.exit(130);
    // The other signals come from programs, or from a terminal that is gone.
    const again = signal === 'SIGINT' ? '; press Ctrl-C again to stop at once' : ` (${signal})`;
    stderr.write(`\nstopping as soon as nothing is lost by it${again}\n`);
    controller.abort(new GlulamError('INTERRUPTED', 'stopped by a signal before there was anything to keep'));
  };
  const crash = (error: unknown): void => {
    stderr.write(`${describe(error)}\n`);
    process.exit(1);
  };
  stdout.watch();
  stderr.watch();
  for (const signal of endingSignals) process.on(signal, interrupt);
  process.on('uncaughtException', crash);
  try {
    const code = await runCommand(words, controller.signal);
    return await codeOfOutput(code);
  } finally {
    for (const signal of endingSignals) process.off(signal, interrupt);
    process.off('uncaughtException', crash);
  }
}

async function runCommand([first, ...others]: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    const isHelp = first === 'help' || first === '--help' || first === '-h';
    if (first === undefined || (isHelp && others.length === 0)) {
      stdout.write(usage);
      return 0;
    }
    if (first === '--version' || first === '-v' || first === '-V') {
      stdout.write(`${version()}\n`);
      return 0;
    }
    const [name, ...rest] = isHelp ? [others[0]!, '--help'] : [first, ...others];
    const command = findCommand(name);
    const args = parseArguments(rest, command.repeatable);
    if (args.options['help'] !== undefined || args.options['h'] !== undefined) stdout.write(`${command.help}\n`);
    else await command.run(args, signal);
    return 0;
  } catch (error) {
    if (error instanceof GlulamError && error.code === 'OUTPUT_CLOSED') return closedPipe;
    stderr.write(`${describe(error)}\n`);
    return signal.aborted ? 130 : 1;
  }
}

/** A command that ended well did so in vain where its results did not arrive. */
async function codeOfOutput(code: number): Promise<number> {
  const { failure, content } = await stdout.settle();
  await stderr.settle();
  if (failure === undefined || code !== 0) return code;
  if (isClosed(failure)) return content === 'results' ? closedPipe : 0;
  // What reporters print they report themselves.
  if (content !== undefined) {
    stderr.write(`${describe(outputFailed(failure))}\n`);
    await stderr.settle();
  }
  return 1;
}

/** What the system refused is for people, as errors of ours are. */
const describe = (error: unknown): string => describeError(isSystemError(error) ? fileUnusable(error) : error);

function fileUnusable(cause: SystemError): GlulamError {
  // Where a file is missing it was mostly to be read.
  const fault = cause.code === 'ENOENT' ? cause.message : describeWriteFault(cause);
  return new GlulamError('FILE_UNUSABLE', `${cause.path} cannot be used: ${fault}`, { cause });
}

/** What other tools call our commands. */
const otherWords: Readonly<Record<string, string>> = {
  ...{
    evaluate: 'eval',
    evaluation: 'eval',
    test: 'eval',
    benchmark: 'eval',
    score: 'eval',
    'lm-eval': 'eval',
    lm_eval: 'eval',
  },
  ...{ resume: 'train RUN --resume', continue: 'train RUN --resume', restart: 'train RUN --resume' },
  ...{ version: '--version', about: '--version' },
  ...{
    finetune: 'train',
    'fine-tune': 'train',
    tune: 'train',
    fit: 'train',
    sft: 'train',
    run: 'train',
    start: 'train',
    lora: 'train',
  },
  ...{ inspect: 'plan', info: 'plan', show: 'plan', describe: 'plan', estimate: 'plan', memory: 'plan', size: 'plan' },
  ...{
    infer: 'generate',
    inference: 'generate',
    predict: 'generate',
    complete: 'generate',
    completion: 'generate',
    sample: 'generate',
    prompt: 'generate',
  },
  ...{ talk: 'chat', repl: 'chat', interactive: 'chat' },
  ...{ quantize: 'export', quantise: 'export', convert: 'export', gguf: 'export', 'export-gguf': 'export' },
  ...{ fuse: 'merge', mergekit: 'merge', upload: 'push', publish: 'push' },
  ...{ dataset: 'data', datasets: 'data', preprocess: 'data', tokenize: 'data', check: 'data', preview: 'data' },
  ...{ ablation: 'ablate', compare: 'ablate', sweep: 'ablate' },
  ...{
    list: 'plugins',
    kinds: 'plugins',
    options: 'plugins',
    diagnose: 'doctor',
    env: 'doctor',
    'system-info': 'doctor',
  },
};

function findCommand(name: string): Command {
  const names = commands.map((each) => each.name);
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) return command;
  const near = Object.hasOwn(otherWords, name) ? otherWords[name] : nearest(name, names);
  const hint = near === undefined ? `its commands are ${names.join(', ')}` : `did you mean glulam ${near}?`;
  // An option before the command, or a config without one.
  const order = name.startsWith('-') ? '; the command comes first: glulam COMMAND --option value' : '';
  const config = /\.([jt]s|json|ya?ml)$/.test(name) ? `; to train with a config: glulam train ${name}` : '';
  const what = name.startsWith('-') ? 'option' : 'command';
  throw new GlulamError('USAGE', `glulam has no ${what} "${name}"${order || config || `; ${hint}`}`);
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string })
    .version;
