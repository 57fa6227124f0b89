import { runConfigSchema } from './config.js';
import { defaultPrompt } from '../data/prompt/prompt-text.js';

/** What may change between a run and its resumption: it has no say in the numbers. */
const free = new Set(['out', 'reporters', 'checkpoint', 'data.cache', 'plugins']);

/**
 * A config as its file has it, in the words of today: with the defaults that came since, and without those that no longer
 * stand in a config. A run that was begun by an older version goes on with it; that its rows come to the same tokens is
 * checked by itself.
 */
export function inTodaysWords(config: unknown): unknown {
  const parsed = runConfigSchema.safeParse(config);
  const known: unknown = parsed.success ? JSON.parse(JSON.stringify(parsed.data)) : config;
  if (!isRecord(known) || !isRecord(known['data']) || known['data']['prompt'] !== defaultPrompt) return known;
  const { prompt: _, ...data } = known['data'];
  return { ...known, data };
}

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
