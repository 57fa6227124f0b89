import { readFileSync } from 'node:fs';
import { nearest } from '@glulam/trainer';
import { parseArguments } from './arguments.js';
import { commands } from './commands.js';
import type { Command } from './commands/command.js';
import { describeError } from './describe-error.js';
import { GlulamError } from './errors.js';

const usage = `glulam: fine-tune language models deeper than the one they are made of

${commands.map(({ name, summary }) => `  glulam ${name.padEnd(10)} ${summary}`).join('\n')}

glulam COMMAND --help explains a command, glulam --version prints the version.
`;

/** Run one command; the exit code is 0, or 1 with the reason on stderr (130 where a signal ended it). */
export async function main(words: readonly string[]): Promise<number> {
  const [first, ...others] = words;
  const isHelp = first === 'help' || first === '--help' || first === '-h';
  if (first === undefined || (isHelp && others.length === 0)) {
    process.stdout.write(usage);
    return 0;
  }
  if (first === '--version' || first === '-v' || first === '-V') {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const [name, ...rest] = isHelp ? [others[0]!, '--help'] : [first, ...others];
  const controller = new AbortController();
  const interrupt = (): void => {
    // Twice means now.
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write('\nstopping as soon as nothing is lost by it; press Ctrl-C again to stop at once\n');
    controller.abort(new GlulamError('INTERRUPTED', 'stopped by a signal before there was anything to keep'));
  };
  // SIGTERM is how schedulers and containers say the same.
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const command = findCommand(name);
    const args = parseArguments(rest, command.repeatable);
    if (args.options['help'] !== undefined || args.options['h'] !== undefined)
      process.stdout.write(`${command.help}\n`);
    else await command.run(args, controller.signal);
    return 0;
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    return controller.signal.aborted ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function findCommand(name: string): Command {
  const names = commands.map((each) => each.name);
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) return command;
  const near = nearest(name, names);
  const hint = near === undefined ? `its commands are ${names.join(', ')}` : `did you mean glulam ${near}?`;
  // An option before the command, or a config without one.
  const order = name.startsWith('-') ? '; the command comes first: glulam COMMAND --option value' : '';
  const config = /\.([jt]s|json|ya?ml)$/.test(name) ? `; to train with a config: glulam train ${name}` : '';
  const what = name.startsWith('-') ? 'option' : 'command';
  throw new GlulamError('USAGE', `glulam has no ${what} "${name}"${order || config || `; ${hint}`}`);
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string })
    .version;
