import path from 'node:path';
import { parseArgs } from 'node:util';
import { createPlugin, type PluginChoices } from './create-plugin.js';
import { CreateError } from './errors.js';
import { namesOf } from './names.js';
import { terminalPrompts, type Prompts } from './prompts.js';
import { roleOf, roles } from './roles.js';

const help = `usage: npm create glulam-plugin -- [--role ROLE] [--name NAME] [--dir DIR] [--yes]

Writes the package of a Glulam plugin: a small working example of the role, with the role's contract suite, that can be
built, tested and published. Asks for what is not given.

  --role ROLE  ${roles.map(({ name }) => name).join(', ')}
  --name NAME  my-kind makes the package glulam-plugin-ROLE-my-kind; a whole package name, @me/my-kind, stays as it is
  --dir DIR    the folder, which is empty or not there; default: the package's name
  --yes        ask nothing
`;

/** The command; gives the exit code. */
export async function main(args: readonly string[], prompts = terminalPrompts): Promise<number> {
  try {
    const given = parse(args);
    if (given.help === true) {
      process.stdout.write(help);
      return 0;
    }
    const asks = given.yes !== true && process.stdin.isTTY && process.stdout.isTTY;
    const { names, folder, files } = createPlugin(asks ? await ask(given, prompts) : complete(given));
    const below = path.relative('', folder);
    process.stdout.write(
      `${names.package}: ${files.length} files in ${folder}\n\n` +
        `  cd ${below.startsWith('..') ? folder : below || '.'}\n  npm install\n  npm test\n\nIts README says how to use and publish it.\n`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof CreateError)) throw error;
    process.stderr.write(`error [${error.code}]: ${error.message}\n`);
    return error.code === 'INTERRUPTED' ? 130 : 1;
  }
}

interface Given {
  readonly role?: string;
  readonly name?: string;
  readonly dir?: string;
  readonly yes?: boolean;
  readonly help?: boolean;
}

function parse(args: readonly string[]): Given {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean' } as const;
    return parseArgs({ args: [...args], options: { role: text, name: text, dir: text, yes: flag, help: flag } }).values;
  } catch (cause) {
    throw new CreateError('USAGE', `${(cause as Error).message}\n${help}`, { cause });
  }
}

/** What is given is checked before anything is asked. */
async function ask(given: Given, prompts: Prompts): Promise<PluginChoices> {
  const role = given.role === undefined ? await prompts.role() : roleOf(given.role).name;
  if (given.name !== undefined) namesOf(role, given.name);
  const name = given.name ?? (await prompts.name(role));
  return { role, name, folder: given.dir ?? (await prompts.folder(role, name)) };
}

function complete({ role, name, dir }: Given): PluginChoices {
  const missing = [...(role === undefined ? ['--role'] : []), ...(name === undefined ? ['--name'] : [])];
  if (role === undefined || name === undefined)
    throw new CreateError('USAGE', `${missing.join(' and ')} must be given where nothing can be asked\n${help}`);
  return { role, name, folder: dir };
}
