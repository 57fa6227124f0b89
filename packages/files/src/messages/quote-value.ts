/** Messages quote what was got, and a damaged file may have any amount of it. */
const longestMessage = 4000;

/** A message cut to 4,000 characters, with an ellipsis at the end if it was longer. */
export const shortMessage = (message: string): string =>
  message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message;

/** A value of a file as a message quotes it: JSON, without what is deep or long, of which a damaged file may have any amount. */
export function quoteValue(value: unknown): string | undefined {
  const text = JSON.stringify(shallow(value, 4)) as string | undefined;
  return text !== undefined && text.length > 200 ? `${text.slice(0, 199)}…` : text;
}

function shallow(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '…';
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => shallow(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 100)
      .map(([key, item]) => [key, shallow(item, depth - 1)]),
  );
}
