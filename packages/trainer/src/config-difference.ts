/** What may change between a run and its resumption: it has no say in the numbers. */
const free = new Set(['out', 'reporters', 'checkpoint', 'data.cache', 'plugins']);

/** The differences of two configs as lines for people: `train.batch: was 8, is 16`. */
export function configDifference(before: unknown, now: unknown, place = ''): string[] {
  if (free.has(place) || JSON.stringify(before) === JSON.stringify(now)) return [];
  if (isRecord(before) && isRecord(now)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return keys.flatMap((key) => configDifference(before[key], now[key], place === '' ? key : `${place}.${key}`));
  }
  return [`${place}: was ${show(before)}, is ${show(now)}`];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const show = (value: unknown): string => (value === undefined ? 'not set' : JSON.stringify(value));
