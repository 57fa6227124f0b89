import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const unusedVars = ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }];

export default defineConfig(
  {
    ignores: [
      ...['**/dist/', '**/build/', '**/node_modules/', '.nx/', 'runs/', 'fixtures/', 'examples/models/'],
      'examples/third-party/',
      ...['docs/.vitepress/cache/', 'docs/.vitepress/.temp/'],
    ],
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      // One project holds sources and tests alike: the packages' own leave their tests out.
      parserOptions: { project: ['./tsconfig.test.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Contracts return promises; an implementation that has nothing to await still fulfils them.
      '@typescript-eslint/require-await': 'off',
      // Numbers are what most messages here are about.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Operations here are closures of factories and do not use `this`; passing them on is the style of the house.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unused-vars': unusedVars,
      'prefer-const': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    // What is not ours is made visible, and closed pipes are dealt with, in output.ts alone.
    files: ['packages/glulam/src/**/*.ts'],
    ignores: ['packages/glulam/src/cli/output.ts', '**/*.test.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        ...['stdout', 'stderr'].map((property) => ({
          object: 'process',
          property,
          message: 'Write to stdout or stderr of output.ts.',
        })),
      ],
    },
  },
  {
    // vitest's matchers and parsed JSON are `any`: a wrong one fails the test.
    files: ['**/*.test.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.recommended],
    rules: { '@typescript-eslint/no-unused-vars': unusedVars },
  },
);
