import { isCancel, select, text } from '@clack/prompts';
import { checkFolder, defaultFolder } from './create-plugin.js';
import { CreateError } from './errors.js';
import { namesOf } from './names.js';
import { roles, type RoleName } from './roles.js';

/** Asks for what the command line did not say. */
export interface Prompts {
  role(): Promise<RoleName>;
  name(role: RoleName): Promise<string>;
  folder(role: RoleName, name: string): Promise<string>;
}

/** In the terminal; answers that cannot be used are told at once. */
export const terminalPrompts: Prompts = {
  role: async () =>
    answered(
      await select({
        message: 'What does the plugin bring?',
        options: roles.map(({ name, hint }) => ({ value: name, label: name, hint })),
      }),
    ),
  name: async (role) =>
    answered(
      await text({
        message: `The name of the ${role}, or of its package`,
        placeholder: 'my-kind',
        validate: (value = '') => faultOf(() => namesOf(role, value)),
      }),
    ),
  async folder(role, name) {
    const standing = defaultFolder(namesOf(role, name));
    return answered(
      await text({
        message: 'The folder',
        placeholder: standing,
        defaultValue: standing,
        validate: (value = '') => faultOf(() => checkFolder(value === '' ? standing : value)),
      }),
    );
  },
};

function answered<T>(value: T): Exclude<T, symbol> {
  if (isCancel(value)) throw new CreateError('INTERRUPTED', 'nothing was written');
  return value as Exclude<T, symbol>;
}

function faultOf(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof CreateError) return error.message;
    throw error;
  }
}
