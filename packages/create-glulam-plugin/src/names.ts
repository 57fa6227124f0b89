import validate from 'validate-npm-package-name';
import { CreateError } from './errors.js';
import type { RoleName } from './roles.js';

/** One name in the forms that a package needs. */
export interface Names {
  /** `glulam-plugin-adapter-ia3`, or a scoped one. */
  readonly package: string;
  /** What a config says: `ia3`, `my_kind`. */
  readonly kind: string;
  /** For identifiers: `MyKind`. */
  readonly pascal: string;
}

/**
 * `my-kind` becomes the package `glulam-plugin-adapter-my-kind`; a name with a scope, or that begins with
 * `glulam-plugin-`, is the package's as it is, and the kind is what it ends in.
 *
 * @throws CreateError NAME_INVALID
 */
export function namesOf(role: RoleName, given: string): Names {
  const prefix = `glulam-plugin-${role}-`;
  const whole = given.startsWith('@') || given.startsWith('glulam-plugin-');
  const name = whole ? given : `${prefix}${given}`;
  const { validForNewPackages, errors = [], warnings = [] } = validate(name);
  if (!validForNewPackages) {
    throw new CreateError(
      'NAME_INVALID',
      `"${given}" makes no name of an npm package: ${[...errors, ...warnings].join('; ')}; expected small letters, digits and dashes, such as "my-kind" or "@me/my-kind"`,
    );
  }
  const last = name.slice(name.indexOf('/') + 1);
  const beginnings = [prefix, 'glulam-plugin-', `glulam-${role}-`, 'glulam-', `${role}-`];
  const short = last.slice(beginnings.find((each) => last.startsWith(each))?.length ?? 0);
  // The kind stands in configs and, as identifiers, in the source.
  if (!/^[a-z][a-z0-9]*([-_][a-z0-9]+)*$/.test(short)) {
    throw new CreateError(
      'NAME_INVALID',
      `"${given}" gives the kind "${short}"; expected words of small letters and digits, joined by dashes, the first beginning with a letter: "my-kind"`,
    );
  }
  const words = short.split(/[-_]/);
  return {
    package: name,
    kind: words.join('_'),
    pascal: words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join(''),
  };
}
