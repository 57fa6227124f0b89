import { configError, identifyRows, type GivenInCode, type RowsInCode, type ScheduleFunction } from '@glulam/trainer';

/**
 * A config's fields as a file could hold them, and apart from them the rows and the schedule function that a config in
 * code holds. Rows are read once here, to be counted and hashed.
 *
 * @throws TrainerError CONFIG_INVALID where rows could be read only once, DATA_INVALID
 */
export async function takeFromCode(
  fields: Readonly<Record<string, unknown>>,
  signal: AbortSignal | undefined,
): Promise<{ readonly fields: Record<string, unknown>; readonly given: GivenInCode }> {
  const rows = new Map<string, RowsInCode>();
  const takeOne = async (source: unknown, place: string): Promise<unknown> => {
    if (!isRecord(source) || source['rows'] === undefined) return source;
    const { rows: given, ...rest } = source;
    if (!isRows(given)) {
      // As a run records them.
      if (isRecord(given) && typeof given['sha256'] === 'string') return source;
      throw configError([
        `${place}.rows is ${describe(given)}; rows are read more than once: pass a list or another iterable that begins anew each time, or a function that gives them, such as { rows: () => readMyRows() }`,
      ]);
    }
    const { count, sha256 } = await identifyRows(given, place, signal);
    rows.set(sha256, given);
    return { ...rest, rows: { count, sha256 } };
  };
  const take = async (source: unknown, place: string): Promise<unknown> => {
    if (isBareRows(source))
      throw configError([
        `${place} is ${typeof source === 'function' ? 'a function' : describeRows(source)}; rows themselves are written as ${place}: { rows: ${typeof source === 'function' ? '() => ...' : '[...]'} }`,
      ]);
    if (!Array.isArray(source)) return takeOne(source, place);
    const taken: unknown[] = [];
    for (const [index, each] of source.entries()) taken.push(await takeOne(each, `${place}[${index}]`));
    return taken;
  };

  const { data, train } = fields;
  const result: Record<string, unknown> = { ...fields };
  if (isRecord(data)) {
    const taken: Record<string, unknown> = { ...data };
    for (const name of ['train', 'heldOut']) if (name in data) taken[name] = await take(data[name], `data.${name}`);
    result['data'] = taken;
  }
  let schedule: ScheduleFunction | undefined;
  if (isRecord(train) && typeof train['schedule'] === 'function') {
    schedule = train['schedule'] as ScheduleFunction;
    result['train'] = { ...train, schedule: { inCode: true } };
  }
  return { fields: result, given: { rows, schedule } };
}

/** Columns that rows have and a file's options have not. */
const columns = new Set([
  'text',
  'messages',
  'conversations',
  'prompt',
  'completion',
  'question',
  'answer',
  'instruction',
  'input',
  'output',
  'response',
]);

/** Rows where names of files are expected: a function, an iterable, or a list of records that are no file's options. */
function isBareRows(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (!Array.isArray(value)) return typeof value === 'object' && value !== null && isIterable(value);
  const [first] = value as unknown[];
  if (!isRecord(first) || ['file', 'rows', 'format', 'weight'].some((key) => key in first)) return false;
  const keys = Object.keys(first);
  return keys.length > 1 || keys.some((key) => columns.has(key));
}

const describeRows = (rows: unknown): string =>
  Array.isArray(rows) ? `a list of ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}` : 'an iterable';

const isIterable = (value: object): boolean => Symbol.iterator in value || Symbol.asyncIterator in value;

const isRows = (value: unknown): value is RowsInCode =>
  typeof value === 'function' || (typeof value === 'object' && value !== null && !isStream(value) && beginsAnew(value));

/** Whether an object gives a fresh iterator each time: generator objects and iterators give themselves. */
function beginsAnew(value: object): boolean {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now = later } = value as Readonly<Record<symbol, unknown>>;
  if (typeof now !== 'function') return false;
  const [first, second] = [now.call(value) as unknown, now.call(value) as unknown];
  return first !== value && first !== second;
}

/** Streams of Node.js and of the web are read once, and asking one for its iterator begins to. */
const isStream = (value: object): boolean => 'pipe' in value || 'getReader' in value;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  return isIterable(value) ? 'an iterator, a generator object or a stream, which can be read once' : 'a record';
}
