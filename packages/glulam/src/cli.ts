import { parseArguments } from './arguments.js';
import { commands } from './commands.js';
import { GlulamError } from './errors.js';

const usage = `glulam: fine-tune language models deeper than the one they are made of

${commands.map(({ name, summary }) => `  glulam ${name.padEnd(10)} ${summary}`).join('\n')}

glulam COMMAND --help says more.
`;

/** Run one command; the exit code is 0, or 1 with the reason on stderr (130 where a signal ended it). */
export async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage);
    return 0;
  }
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
    const command = commands.find((each) => each.name === name);
    if (command === undefined)
      throw new GlulamError(
        'USAGE',
        `glulam has no command "${name}"; it has ${commands.map((each) => each.name).join(', ')}`,
      );
    const args = parseArguments(rest, command.repeatable);
    if (args.options['help'] !== undefined || args.options['h'] !== undefined)
      process.stdout.write(`${command.help}\n`);
    else await command.run(args, controller.signal);
    return 0;
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`);
    return controller.signal.aborted ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Errors of ours carry a code and a message for people; of anything else the stack is wanted. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && error.name !== 'Error'
    ? `error [${code}]: ${error.message}`
    : (error.stack ?? error.message);
}
