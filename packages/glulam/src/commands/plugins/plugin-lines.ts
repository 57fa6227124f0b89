import { suggestion } from '@glulam/trainer';
import { GlulamError } from '../../errors.js';
import type { OptionDescription } from '../../kinds/describe-options.js';
import type { InstalledKind, InstalledPlugin } from '../../kinds/installed-plugins.js';

/** A plugin a paragraph: version and place, then a line for each kind with its options and their defaults. */
export function pluginLines(plugins: readonly InstalledPlugin[]): string[] {
  return plugins.flatMap((plugin, i) => [
    ...(i === 0 ? [] : ['']),
    heading(plugin),
    ...plugin.kinds.flatMap(kindSummary),
    ...plugin.services.map((id) => `  service ${id}`),
  ]);
}

/** A kind a paragraph, with every option's type, default and description. */
export function kindLines(plugins: readonly InstalledPlugin[]): string[] {
  return plugins
    .flatMap((plugin) => plugin.kinds.map((kind) => ({ plugin, kind })))
    .flatMap(({ plugin, kind }, i) => [
      ...(i === 0 ? [] : ['']),
      `${title(kind)}, of ${heading(plugin)}`,
      ...kind.options.flatMap(optionLines),
      ...(kind.options.length === 0 ? ['  no options'] : []),
    ]);
}

/** The kinds of that name, of that role, or of that plugin. */
export function selectKinds(plugins: readonly InstalledPlugin[], name: string): InstalledPlugin[] {
  const chosen = plugins
    .map((plugin) => ({
      ...plugin,
      kinds:
        plugin.name === name ? plugin.kinds : plugin.kinds.filter(({ kind, role }) => kind === name || role === name),
    }))
    .filter(({ kinds }) => kinds.length > 0);
  if (chosen.length > 0) return chosen;
  const known = plugins.flatMap((plugin) => [plugin.name, ...plugin.kinds.flatMap(({ kind, role }) => [kind, role])]);
  throw new GlulamError(
    'USAGE',
    `no plugin brings "${name}"${suggestion(name, [...new Set(known)])}; glulam plugins shows what there is`,
  );
}

function heading({ name, version, folder, builtIn }: InstalledPlugin): string {
  const place = builtIn ? 'built in' : (folder ?? 'of the config');
  return `${name}${version === undefined ? '' : ` ${version}`} (${place})`;
}

const title = ({ role, kind }: InstalledKind): string => `${role} ${kind}`;

function kindSummary(kind: InstalledKind): string[] {
  const options = kind.options.length === 0 ? '' : `: ${kind.options.map(short).join(', ')}`;
  return wrap(`${title(kind)}${options}`, 116).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`);
}

function short(option: OptionDescription): string {
  if (option.required) return `${option.name} (required)`;
  return option.default === undefined ? option.name : `${option.name} = ${JSON.stringify(option.default)}`;
}

function optionLines(option: OptionDescription): string[] {
  const lines = [`  ${short(option)}`, `      ${option.type}`];
  return option.description === ''
    ? lines
    : [...lines, ...wrap(option.description, 100).map((line) => `      ${line}`)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
