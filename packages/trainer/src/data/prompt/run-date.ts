import { existsSync } from 'node:fs';
import path from 'node:path';
import { readTextFile } from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import type { RunConfig } from '../../config/config.js';

/**
 * Reads `data.date`, a local date or date-time: `2026-11-30`, `2026-11-30T09:30` or `2026-11-30T09:30:00`. A date alone
 * is its midnight. undefined: the text is neither, or no such day exists.
 */
export function parseDate(text: string): Date | undefined {
  const match = /^([1-9]\d{3})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map((part = '0') => Number(part)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const lastDay = new Date(year, month, 0, 12).getDate();
  const isValid = month >= 1 && month <= 12 && day >= 1 && day <= lastDay && hour < 24 && minute < 60 && second < 60;
  return isValid ? new Date(year, month - 1, day, hour, minute, second) : undefined;
}

/** The local date as `data.date` has it, with its time unless that is midnight. */
export function formatDate(date: Date): string {
  const pad = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return time.every((part) => part === 0) ? day : `${day}T${time.map(pad).join(':')}`;
}

/** Midnight of today: the text of a template is then the same for a whole day, and with it the tokenized data. */
export function today(): Date {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate());
}

/** The date that a tokenizer's chat template shows, as `data.date` has it; undefined: it shows none. */
export function shownDate({ chatTemplate }: Pick<Tokenizer, 'chatTemplate'>): string | undefined {
  return chatTemplate?.readsClock === true ? formatDate(chatTemplate.now ?? today()) : undefined;
}

/** The config with the date that the tokenizer opened for it shows, so that whoever repeats it gets the same text. */
export function recordDate(config: RunConfig, tokenizer: Pick<Tokenizer, 'chatTemplate'>): RunConfig {
  const date = config.data.date ?? shownDate(tokenizer);
  return date === undefined ? config : { ...config, data: { ...config.data, date } };
}

/**
 * A config without a date takes over the one recorded in its folder. A file that cannot be read has none: what resumes
 * the folder reports it.
 */
export function takeOverDate(config: RunConfig): RunConfig {
  const file = path.join(config.out, 'config.json');
  if (config.data.date !== undefined || !existsSync(file)) return config;
  let date: unknown;
  try {
    date = (JSON.parse(readTextFile(file)) as { data?: { date?: unknown } } | null)?.data?.date;
  } catch {
    return config;
  }
  return typeof date === 'string' && parseDate(date) !== undefined
    ? { ...config, data: { ...config.data, date } }
    : config;
}

/** For users, where the date was not chosen. */
export function noteDate({ data }: RunConfig, tokenizer: Pick<Tokenizer, 'chatTemplate'>): string | undefined {
  const date = shownDate(tokenizer);
  if (data.date !== undefined || date === undefined) return undefined;
  return `the chat template shows the date: it is given today's, ${date}; data.date sets another`;
}
