import type { Names } from './names.js';
import type { Role } from './roles.js';

/** The README of a plugin; its two configs are what a user copies. */
export function readme({ name: role, summary, use }: Role, { package: name, kind, pascal }: Names): string {
  const rest = { base: 'path/to/base', ...use(kind), out: 'runs/first' };
  const factory = `${role}${pascal}`;
  const what = role === 'family' ? `Checkpoints whose \`model_type\` is \`${kind}\`` : `The ${role} \`${kind}\``;
  const options =
    role === 'family'
      ? 'A base with that `model_type` is read by it; there is nothing to choose.'
      : `\`npx glulam plugins ${kind} --config glulam.config.json\` prints its options.`;
  return `# ${name}

${what} for [Glulam](https://www.npmjs.com/package/glulam): ${summary}.

## Use

\`\`\`sh
npm install glulam ${name}
\`\`\`

A JSON or YAML config names the package:

\`\`\`json
${JSON.stringify({ plugins: [name], ...rest }, null, 2)}
\`\`\`

A TypeScript config has the plugin as a value, and \`defineConfig\` checks its options:

\`\`\`ts
import { defineConfig } from 'glulam';
import { ${factory} } from '${name}';

export default defineConfig(${literal({ plugins: '$factory', ...rest }).replace("'$factory'", `[${factory}()]`)});
\`\`\`

\`npx glulam train\` with either file runs it. ${options}

## Develop

\`\`\`sh
npm install
npm test         # types, and the contract that Glulam asks of every ${role}
npm run build
npm run release  # a patch: tests, a version, a tag, npm publish; for more: npm version minor && npm publish
\`\`\`

\`src/index.test.ts\` runs the suite of \`@glulam/testing\` with cases of this plugin: give it cases of your own, with every
option. \`contract: 2\` in the source is the version of the agreement between plugins and Glulam that it was written for.

## Licence

Apache-2.0. For another one replace \`LICENSE\` and \`license\` in package.json.
`;
}

/** As one writes it in TypeScript. */
const literal = (value: unknown): string =>
  JSON.stringify(value, null, 2)
    .replace(/"(\w+)":/g, '$1:')
    .replace(/"/g, "'");
