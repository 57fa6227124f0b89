import type { AblationInput, SearchInput } from '@glulam/ablation';
import type { Offer, Plugin, PluginList } from '@glulam/plugin';
import type { RowsIdentity, RowsInCode, RunConfigInput, ScheduleFunction } from '@glulam/trainer';
import type { preset } from './preset.js';

/** What plugins say that they bring, lists of lists included; `unknown` where one of them does not say. */
type OffersOf<Plugins> = [PluginList] extends [Plugins]
  ? unknown // a list of whatever: its type goes on for ever
  : Plugins extends Plugin<infer Offers>
    ? Offers
    : Plugins extends readonly (infer Each)[]
      ? OffersOf<Each>
      : Plugins extends string
        ? unknown // a package's name
        : never;

/** `{ kind, ...options }` of a role. Where a plugin's kinds are not known to the compiler, every record will do. */
type Choice<Role extends string, Offers> = unknown extends Offers
  ? { readonly kind: string; readonly [option: string]: unknown }
  : Offers extends Offer<Role, infer Kind, infer Options>
    ? Chosen<Kind, Options>
    : never;

type Chosen<Kind, Options> =
  Options extends Record<string, never> ? { readonly kind: Kind } : { readonly kind: Kind } & Options;

/** A choice whose kind may be left out. */
type ChoiceOr<Default extends string, Role extends string, Offers> =
  | Choice<Role, Offers>
  | (Choice<Role, Offers> extends infer Each
      ? Each extends { readonly kind: Default }
        ? Omit<Each, 'kind'> & { readonly kind?: Default }
        : never
      : never);

type EvaluatorInput = NonNullable<NonNullable<RunConfigInput['evaluate']>['evaluators']>[number];

/** A file, or rows. */
type Source<Offers> =
  | string
  | ((
      | { readonly file: string }
      /** A list or another iterable, or a function that gives the rows: they are read more than once. */
      | { readonly rows: RowsInCode | RowsIdentity }
    ) & {
      /** How rows are read; default: the first format that the first row looks like. */
      readonly format?: Choice<'format', Offers> | undefined;
      /** Share of the examples drawn, relative to the others'; given for all sources or none. */
      readonly weight?: number | undefined;
    });
/** One, or several. */
type Sources<Offers> = Source<Offers> | readonly Source<Offers>[];

/**
 * What a config file holds: a run, and plugins beyond the built-in ones (values, or in JSON and YAML package names).
 * `Offers`: the kinds that choices are checked against.
 */
export type GlulamConfig<Offers = unknown> = Omit<
  RunConfigInput,
  'expansion' | 'adapter' | 'engine' | 'data' | 'train' | 'evaluate' | 'reporters' | 'plugins'
> & {
  readonly expansion?: Choice<'expansion', Offers> | undefined;
  readonly adapter?: ChoiceOr<'lora', 'adapter', Offers> | undefined;
  readonly engine?: ChoiceOr<'native', 'engine', Offers> | undefined;
  readonly data: Omit<RunConfigInput['data'], 'train' | 'heldOut'> & {
    readonly train: Sources<Offers>;
    readonly heldOut?: number | Sources<Offers> | undefined;
  };
  readonly train?:
    | (Omit<NonNullable<RunConfigInput['train']>, 'schedule'> & {
        readonly schedule?: NonNullable<RunConfigInput['train']>['schedule'] | ScheduleFunction;
      })
    | undefined;
  readonly evaluate?: Omit<NonNullable<RunConfigInput['evaluate']>, 'evaluators'> & {
    readonly evaluators?: readonly (Choice<'evaluator', Offers> & Pick<EvaluatorInput, 'name' | 'when'>)[] | undefined;
  };
  readonly reporters?: readonly Choice<'reporter', Offers>[] | undefined;
  readonly plugins?: PluginList | readonly string[] | undefined;
  /** What `glulam ablate` compares; other commands leave it alone. */
  readonly ablation?: AblationInput | undefined;
  /** What `glulam search` ranks; other commands leave it alone. */
  readonly search?:
    (Omit<SearchInput, 'score'> & { readonly score?: Choice<'evaluator', Offers> | undefined }) | undefined;
  /** Where editors find the JSON Schema of a JSON or YAML config: `glulam schema` writes it. */
  readonly $schema?: string | undefined;
};

/**
 * Gives a config file its types: the options of every kind, of the built-in plugins and of those in `plugins`. Paths are
 * relative to the file.
 */
export const defineConfig = <const Plugins extends PluginList | readonly string[] = readonly []>(
  config: GlulamConfig<OffersOf<ReturnType<typeof preset>> | OffersOf<Plugins>> & { readonly plugins?: Plugins },
): GlulamConfig => config;
