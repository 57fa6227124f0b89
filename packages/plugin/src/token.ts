/** A service that one plugin provides. Tokens are equal when their ids are, also over two installed copies. */
export interface Token<T> {
  /** `<package>.<name>`. */
  readonly id: string;
  /** The same for all copies of a package. */
  readonly key: symbol;
  /** One plugin provides it. */
  readonly many: false;
  /** Carries the type only. */
  readonly type?: T;
}

/** A place that many plugins contribute to, each contribution with a `kind` of its own. */
export interface Point<T> {
  /** `<package>.<name>`. */
  readonly id: string;
  /** The same for all copies of a package. */
  readonly key: symbol;
  /** Any number of plugins contribute to it. */
  readonly many: true;
  /** What every contribution must have besides its kind. */
  readonly parts: Parts;
  /** Carries the type only. */
  readonly type?: T;
}

/** Names of parts to what they are: a function, a text, or a schema of zod 4. */
export type Parts = Readonly<Record<string, 'function' | 'text' | 'schema'>>;

/** `id` is `<package>.<name>`, such as `trainer.events`. */
export const token = <T>(id: string): Token<T> => ({ id, key: Symbol.for(id), many: false });

/**
 * `id` is `<package>.<name>`, such as `model.strategies`. `parts`: what `compose` looks for in every contribution, so that
 * one without is told by its plugin's name and not where it is used.
 */
export const point = <T extends { readonly kind: string }>(
  id: string,
  parts: { readonly [P in keyof T]?: Parts[string] } = {},
): Point<T> => ({ id, key: Symbol.for(id), many: true, parts: parts as Parts });
