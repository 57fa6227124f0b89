/** A row as formats see it. */
export type Row = Readonly<Record<string, unknown>>;

/** A text with something in it. */
export const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

export const isRecord = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
