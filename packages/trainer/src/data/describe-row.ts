/** The first row of a file that no format reads: its columns, and of lists of turns what these look like. */
export function describeRow(row: Readonly<Record<string, unknown>>): string {
  const columns = Object.entries(row).map(([key, value]) => `${key} (${describeColumn(value)})`);
  return columns.length === 0 ? 'no columns' : `the columns ${columns.join(', ')}`;
}

/** What may be meant, where a row has columns that are known from elsewhere. */
export function adviceFor(row: Readonly<Record<string, unknown>>): string | undefined {
  const has = (...keys: readonly string[]): string | undefined => keys.find((key) => Object.hasOwn(row, key));
  if (has('chosen') !== undefined && has('rejected') !== undefined)
    return 'Pairs of a chosen and a rejected answer are not trained on; give the chosen ones as messages or completions.';
  const turns = Object.entries(row).find(([, value]) => Array.isArray(value) && looksLikeTurns(value));
  if (turns !== undefined) {
    const [column, [turn]] = turns as [string, [Record<string, unknown>]];
    const kind =
      'role' in turn && 'content' in turn ? 'messages' : 'from' in turn && 'value' in turn ? 'sharegpt' : undefined;
    if (kind !== undefined) return `Say { kind: '${kind}', column: '${column}' }.`;
  }
  const question = has('prompt', 'instruction', 'input', 'inputs', 'problem', 'query', 'question');
  const answer = has('response', 'output', 'completion', 'solution', 'target', 'targets', 'answer');
  if (question !== undefined && answer !== undefined)
    return (
      `If ${question} and ${answer} are a question and its answer, say { kind: 'question_answer', question: '${question}', answer: '${answer}' }; ` +
      `if ${question} is the whole text before ${answer}, say { kind: 'prompt_completion', prompt: '${question}', completion: '${answer}' }.`
    );
  const nested = Object.entries(row).find(
    ([, value]) => Array.isArray(value) && value.length > 0 && isRecord(value[0]),
  );
  if (nested !== undefined && Object.keys(row).length > 1 && !looksLikeTurns(nested[1] as unknown[]))
    return `If ${nested[0]} holds the rows, save that list as the file.`;
  return undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const speakerKeys = ['role', 'from', 'speaker', 'user'];
const looksLikeTurns = (list: readonly unknown[]): boolean =>
  isRecord(list[0]) && speakerKeys.some((key) => Object.hasOwn(list[0] as object, key));

function describeColumn(value: unknown): string {
  if (value === null) return 'null';
  if (isRecord(value)) return `an object with the keys ${keysIn([value])}`;
  if (!Array.isArray(value)) return typeof value === 'string' ? describeText(value) : `a ${typeof value}`;
  const items = value as unknown[];
  const records = items.filter(isRecord);
  if (records.length === 0 || records.length < items.length)
    return items.length === 0 ? 'an empty list' : `a list of ${items.length}, not of objects`;
  const speaker = speakerKeys.find((key) => records.every((item) => isName(item[key])));
  const names =
    speaker === undefined ? '' : `; ${speaker}: ${[...new Set(records.map((item) => item[speaker]))].join(', ')}`;
  return `a list of ${items.length} with the keys ${keysIn(records)}${names}`;
}

function describeText(text: string): string {
  if (/^\s*(?:\[\s*)?\{\s*'/.test(text)) return "a text in Python's notation, with quotes ('): write JSON";
  return /^\s*[[{]/.test(text) ? 'a text that may be JSON' : 'a text';
}

const isName = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{1,24}$/.test(value);

const keysIn = (records: readonly Record<string, unknown>[]): string =>
  [...new Set(records.flatMap((record) => Object.keys(record)))].slice(0, 12).join(', ') || 'of none';
