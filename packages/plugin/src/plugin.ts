import type { Point, Token } from './token.js';

/** What a `create` wants: typed tokens and points by name. */
export type Deps = Readonly<Record<string, Token<unknown> | Point<unknown>>>;

/** What it gets: the service of a token, all contributions of a point. */
export type DepValues<D extends Deps> = {
  readonly [K in keyof D]: D[K] extends Point<infer T> ? readonly T[] : D[K] extends Token<infer T> ? T : never;
};

/**
 * How long a service or contribution lives: as long as the composition, for one command (a request to a server, a call of `run`), or
 * for one run. It may depend on what lives as long or longer.
 */
export type Lifetime = 'process' | 'command' | 'run';

/** From the longest to the shortest. */
export const lifetimes: readonly Lifetime[] = ['process', 'command', 'run'];

/** How a plugin makes a service or a contribution. */
export interface Spec<T, D extends Deps> {
  /** Default: `process`. */
  readonly lifetime?: Lifetime;
  /** What `create` gets, by names of its own; default: nothing. */
  readonly deps?: D;
  /**
   * Cheap: native code, files and network wait until the value is opened. Called once for each scope of the lifetime.
   *
   * @param outer what was created for the scope around this one, such as a command's stream for that of a run; undefined in the
   *   composition itself
   */
  create(deps: DepValues<D>, outer?: T): T;
  /** Called when the scope ends, after what depends on the value was disposed of. */
  dispose?(value: T): void | Promise<void>;
}

/** How a plugin says what it brings; valid during `register` only. */
export interface Registry {
  /** Supply the one implementation of a service. */
  // NoInfer: the token alone says what T is. Otherwise TypeScript settles on what token and `create` have in common,
  // and a service that lacks methods compiles.
  provide<T, D extends Deps = Record<never, never>>(token: Token<T>, spec: Spec<NoInfer<T>, D>): void;
  /** Add one of many. */
  contribute<T, D extends Deps = Record<never, never>>(point: Point<T>, spec: Spec<NoInfer<T>, D>): void;
}

/**
 * What plugins and core packages have agreed upon: tokens, points and the types behind them. Raised whenever a plugin that
 * was written for the one before would not work.
 */
export const pluginContract = 2;

/** `Offers`: the kinds that it brings for a config to choose, for `defineConfig`; `unknown` where its author did not say. */
export interface Plugin<Offers = unknown> {
  /** The package's name, or one that tells the plugin as well. */
  readonly name: string;
  /**
   * The contract that it was written for, as a number in its source: `pluginContract` would always be the one that is
   * installed, whatever the plugin knows of it.
   */
  readonly contract: number;
  /** Say what the plugin brings; called once for each composition. */
  register(registry: Registry): void;
  /** Carries the types only. */
  readonly offers?: Offers;
}

/** One kind that a plugin brings: what the config chooses by it (`adapter`, `engine`, ...), and the options as written. */
export interface Offer<Role extends string, Kind extends string, Options> {
  /** The role, such as `adapter`. */
  readonly role: Role;
  /** The name by which a config chooses it. */
  readonly kind: Kind;
  /** The options beside `kind`, before defaults. */
  readonly options: Options;
}

/**
 * Gives a plugin its type; a plugin is a plain object from a factory. `contract` is checked by the compiler: a plugin is
 * not built against core packages of another contract than it says.
 */
export const definePlugin = <Offers = unknown>(
  plugin: Plugin<Offers> & { readonly contract: typeof pluginContract },
): Plugin<Offers> => plugin;
