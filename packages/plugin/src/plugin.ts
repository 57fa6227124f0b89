import type { Point, Token } from './token.js';

/** What a `create` wants: typed tokens and points by name. */
export type Deps = Readonly<Record<string, Token<unknown> | Point<unknown>>>;

/** What it gets: the service of a token, all contributions of a point. */
export type DepValues<D extends Deps> = {
  readonly [K in keyof D]: D[K] extends Point<infer T> ? readonly T[] : D[K] extends Token<infer T> ? T : never;
};

export interface Spec<T, D extends Deps> {
  readonly deps?: D;
  /** Cheap: native code, files and network wait until the value is opened. */
  create(deps: DepValues<D>): T;
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

export interface Plugin {
  /** The package's name, or one that tells the plugin as well. */
  readonly name: string;
  register(registry: Registry): void;
}

/** Gives a plugin its type; a plugin is a plain object from a factory. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;
