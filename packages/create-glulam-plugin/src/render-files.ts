import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifest } from './manifest.js';
import type { Names } from './names.js';
import { readme } from './readme.js';
import type { Role } from './roles.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

const tsconfig = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023'],
    module: 'NodeNext',
    types: ['node'],
    rootDir: 'src',
    outDir: 'dist',
    declaration: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
  },
  include: ['src'],
  exclude: ['src/**/*.test.ts'],
};

const testConfig = { extends: './tsconfig.json', exclude: [] };

const vitestConfig = `import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['src/**/*.test.ts'], testTimeout: 60_000 } });
`;

/** All files of a plugin by their paths, nothing written yet. */
export function renderFiles(role: Role, names: Names): Readonly<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(path.join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const templates = path.join(packageFolder, 'templates', role.name);
  // Templates are plugins by themselves, of the kind my_kind: this repository's checks look at them as they are.
  const filled = (text: string): string =>
    text
      .replaceAll(`glulam-plugin-${role.name}-my-kind`, names.package)
      .replaceAll('my_kind', names.kind)
      .replaceAll('MyKind', names.pascal)
      .replaceAll('myKind', names.pascal[0]!.toLowerCase() + names.pascal.slice(1));
  const sources = readdirSync(templates).map((file) => [
    `src/${file}`,
    filled(readFileSync(path.join(templates, file), 'utf8')),
  ]);
  return {
    'package.json': json(manifest(role, names, version)),
    'README.md': readme(role, names),
    LICENSE: readFileSync(path.join(packageFolder, 'LICENSE'), 'utf8'),
    '.gitignore': 'node_modules/\ndist/\nruns/\n',
    'tsconfig.json': json(tsconfig),
    'tsconfig.test.json': json(testConfig),
    'vitest.config.ts': vitestConfig,
    ...(Object.fromEntries(sources) as Record<string, string>),
  };
}

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
