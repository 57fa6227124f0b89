import type { Names } from './names.js';
import type { Role } from './roles.js';

/** Ranges of what a plugin is made with; a test compares them with this repository's own. */
export const versions = {
  '@types/node': '^20.19.0',
  rxjs: '^7.8.2',
  typescript: '~6.0.0',
  vitest: '^4.1.0',
  zod: '^4.6.7',
};

/** The package.json of a plugin for core packages of this version and later ones. */
export function manifest(role: Role, { package: name, kind }: Names, glulamVersion: string): object {
  const range = rangeFrom(glulamVersion);
  const pick = (...libraries: readonly (keyof typeof versions)[]) =>
    Object.fromEntries(libraries.map((each) => [each, versions[each]]));
  const own = role.libraries.filter((each) => each !== 'rxjs');
  return {
    name,
    version: '0.1.0',
    description: `The ${role.name} ${kind} for Glulam`,
    keywords: ['glulam-plugin'],
    license: 'Apache-2.0',
    type: 'module',
    engines: { node: '>=20.19.0' },
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    files: ['dist'],
    publishConfig: { access: 'public' },
    scripts: {
      build: 'tsc',
      test: 'tsc --noEmit --project tsconfig.test.json && vitest run',
      preversion: 'npm test',
      prepack: 'npm run build',
      release: 'npm version patch && npm publish',
    },
    // One copy for the plugin and the run that uses it: tensors and events of another copy would be strangers.
    peerDependencies: {
      ...Object.fromEntries(['plugin', ...role.core].map((each) => [`@glulam/${each}`, range])),
      ...(role.libraries.includes('rxjs') ? pick('rxjs') : {}),
    },
    ...(own.length > 0 ? { dependencies: pick(...own) } : {}),
    devDependencies: {
      '@glulam/testing': range,
      ...pick('@types/node'),
      glulam: range,
      ...pick('typescript', 'vitest'),
    },
  };
}

/** Before 1.0 the contract's number says what fits; afterwards the major version says it too. */
const rangeFrom = (version: string): string => (version.startsWith('0.') ? `>=${version} <1.0.0` : `^${version}`);
