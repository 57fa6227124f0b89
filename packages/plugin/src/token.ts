/** A service that one plugin provides. Tokens are equal when their ids are, also over two installed copies. */
export interface Token<T> {
  readonly id: string;
  readonly key: symbol;
  readonly many: false;
  /** Carries the type only. */
  readonly type?: T;
}

/** A place that many plugins contribute to, each contribution with a `kind` of its own. */
export interface Point<T> {
  readonly id: string;
  readonly key: symbol;
  readonly many: true;
  /** Carries the type only. */
  readonly type?: T;
}

/** `id` is `<package>.<name>`, such as `trainer.events`. */
export const token = <T>(id: string): Token<T> => ({ id, key: Symbol.for(id), many: false });

/** `id` is `<package>.<name>`, such as `model.strategies`. */
export const point = <T extends { readonly kind: string }>(id: string): Point<T> => ({
  id,
  key: Symbol.for(id),
  many: true,
});
