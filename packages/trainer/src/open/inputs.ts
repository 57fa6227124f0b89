import { strategies } from '@glulam/model';
import { guardOpened, type Composition } from '@glulam/plugin';
import type { DataSource, DataSources, RunConfig } from '../config/config.js';
import { isTemplateFile } from '../data/prompt/chat-template-choice.js';
import { evaluators } from '../evaluate/evaluator.js';
import { sources, type InputRole, type Source, type SourceContext } from './source.js';

/** A config with every name of a folder or file that it reads replaced; `place` is where a name stands: `data.train.0.file`. */
export function mapInputs(
  config: RunConfig,
  composition: Composition,
  map: (name: string, role: InputRole, place: string) => string,
): RunConfig {
  const { base, data, evaluate, expansion, ...rest } = config;
  const one = (given: DataSource, place: string): DataSource => {
    if (typeof given === 'string') return map(given, 'data', place);
    return 'rows' in given ? given : { ...given, file: map(given.file, 'data', `${place}.file`) };
  };
  const files = (given: DataSources, place: string): DataSources =>
    Array.isArray(given) ? given.map((each, index) => one(each, `${place}.${index}`)) : one(given, place);
  /** A wrong kind is told where it is chosen. */
  const choice = <C extends { readonly kind: string }>(
    chosen: C,
    role: InputRole,
    place: string,
    paths: readonly string[] = [],
  ): C => {
    const options = Object.entries(chosen).map(([name, value]): [string, unknown] =>
      paths.includes(name) && typeof value === 'string' ? [name, map(value, role, `${place}.${name}`)] : [name, value],
    );
    return Object.fromEntries(options) as C;
  };
  const { heldOut, chatTemplate } = data;
  return {
    ...rest,
    base: map(base, 'base', 'base'),
    ...(expansion === undefined
      ? {}
      : { expansion: choice(expansion, 'file', 'expansion', composition.find(strategies, expansion.kind)?.paths) }),
    data: {
      ...data,
      train: files(data.train, 'data.train'),
      ...(heldOut === undefined
        ? {}
        : { heldOut: typeof heldOut === 'number' ? heldOut : files(heldOut, 'data.heldOut') }),
      ...(chatTemplate !== undefined && isTemplateFile(chatTemplate)
        ? { chatTemplate: map(chatTemplate, 'file', 'data.chatTemplate') }
        : {}),
    },
    evaluate: {
      ...evaluate,
      evaluators: evaluate.evaluators?.map((each, index) =>
        choice(each, 'data', `evaluate.evaluators.${index}`, composition.find(evaluators, each.kind)?.paths),
      ),
    },
  };
}

/** A config whose names say the same for ever, and the same one with everything on this machine. */
export interface Inputs {
  /** With names that say the same for ever: a branch has become its commit. */
  readonly pinned: RunConfig;
  /** Downloads what is not here yet. */
  fetch(): Promise<RunConfig>;
}

/** What of a config's inputs is wanted. */
export interface InputOptions {
  /** false: the base's config and tokenizer are enough. */
  readonly weights?: boolean;
  /** false: names of data files are left as they are. */
  readonly data?: boolean;
}

/** Pin the names of a config that stand for something elsewhere; paths on this machine stay as they are. */
export async function openInputs(
  config: RunConfig,
  composition: Composition,
  context: SourceContext,
  { weights = true, data = true }: InputOptions = {},
): Promise<Inputs> {
  const opened = new Map<string, Source>();
  const elsewhere = new Map<string, { readonly source: Source; readonly pinned: string; readonly role: InputRole }>();
  for (const [key, { name, role }] of namesIn(config, composition)) {
    const contribution = composition.all(sources).find((each) => each.claims(name, role));
    // Paths of this machine are absolute since the config was read, and claimed by none.
    if (contribution === undefined || (role === 'data' && !data)) continue;
    const source = opened.get(contribution.kind) ?? guardOpened(contribution, contribution.open(context));
    opened.set(contribution.kind, source);
    const wanted = role === 'base' && !weights ? 'base without weights' : role;
    elsewhere.set(key, { source, pinned: await source.pin(name, wanted), role: wanted });
  }
  const pinned = mapInputs(config, composition, (name, role) => elsewhere.get(keyOf(name, role))?.pinned ?? name);
  return {
    pinned,
    async fetch() {
      const here = new Map<string, string>();
      for (const [key, { source, pinned: name, role }] of elsewhere) here.set(key, await source.fetch(name, role));
      return mapInputs(config, composition, (name, role) => here.get(keyOf(name, role)) ?? name);
    },
  };
}

const keyOf = (name: string, role: InputRole): string => `${role} ${name}`;

/** Each name once, in the config's order. */
function namesIn(config: RunConfig, composition: Composition) {
  const names = new Map<string, { readonly name: string; readonly role: InputRole }>();
  mapInputs(config, composition, (name, role) => {
    names.set(keyOf(name, role), { name, role });
    return name;
  });
  return names;
}
