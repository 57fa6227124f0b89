import { quoteValue } from '@glulam/files';
import type { FieldReader } from './checkpoint-config.js';
import type { RopeSettings } from '../decoder/rope.js';

/** What a family says of its rotary embedding beside its config. */
export interface RopeOptions {
  /** What `original_max_position_embeddings` is where no field gives it. */
  readonly maxPositions?: number | undefined;
  /**
   * The reference's class turns whole heads under rope type "default", whatever `partial_rotary_factor` says. Llama's and
   * Mistral's do; those of other families turn a part, which is refused here.
   */
  readonly ignoresPartialRotary?: boolean | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * The rotary embedding of a config in today's style (`rope_parameters`) or the published one (`rope_theta` and
 * `rope_scaling`, whose type is called `type` or `rope_type`). Where a config has several spellings, the one that
 * transformers follows counts (`RotaryEmbeddingConfigMixin` in modeling_rope_utils.py), and the others are reported:
 * `rope_scaling` before `rope_parameters`, the theta inside before the one outside, `rope_type` before `type`, and
 * `original_max_position_embeddings` outside before the one inside.
 */
export function readRope(reader: FieldReader, options: RopeOptions = {}): RopeSettings {
  const scaling = readRecord(reader, 'rope_scaling');
  const parameters = readRecord(reader, 'rope_parameters');
  const [from, rope]: [string, Fields] = scaling ? ['rope_scaling', scaling] : ['rope_parameters', parameters ?? {}];
  if (scaling && parameters && JSON.stringify(scaling) !== JSON.stringify(parameters))
    reader.ignored('rope_parameters has no effect: rope_scaling takes precedence, as in transformers');

  const number = (name: string, fallback?: number): number => {
    const value = rope[name] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    reader.fault(`rope's ${name} is ${quoteValue(value) ?? 'missing'}; expected a positive number`);
    return 1;
  };
  const outside = reader.raw('rope_theta') ?? undefined;
  const theta = number('rope_theta', reader.number('rope_theta', 10000));
  if (outside !== undefined && outside !== theta)
    reader.ignored(`rope_theta ${quoteValue(outside)} has no effect: ${from} has its own, ${theta}`);

  const type = 'rope_type' in rope ? rope['rope_type'] : 'type' in rope ? rope['type'] : 'default';
  if ('rope_type' in rope && 'type' in rope && rope['type'] !== type)
    reader.ignored(`type ${quoteValue(rope['type'])} in ${from} has no effect: rope_type takes precedence`);

  const nested = Object.keys(rope).filter((key) => isRecord(rope[key]));
  if (nested.length > 0) {
    reader.fault(`${from} has settings of its own for ${nested.join(' and ')}; expected one rotary embedding`);
    return { type: 'default', theta };
  }
  const read = typeof type === 'string' && Object.hasOwn(rules, type) ? rules[type] : undefined;
  if (read === undefined) {
    reader.fault(
      `rope type ${quoteValue(type)} is not known; expected ${Object.keys(rules)
        .join(', ')
        .replace(/, (?=\w+$)/, ' or ')}`,
    );
    return { type: 'default', theta };
  }

  const partial = rope['partial_rotary_factor'] ?? reader.raw('partial_rotary_factor') ?? 1;
  if (partial !== 1) {
    const stated = `partial_rotary_factor is ${quoteValue(partial)}`;
    if (type === 'default' && options.ignoresPartialRotary === true)
      reader.ignored(`${stated}, which has no effect: rope type "default" turns whole heads here, as in transformers`);
    else reader.fault(`${stated}; expected 1: heads that are turned in part are not supported`);
  }
  const unread = Object.keys(rope).filter(
    (key) =>
      rope[key] !== null && !['type', 'rope_type', 'rope_theta', 'partial_rotary_factor', ...read.keys].includes(key),
  );
  if (unread.length > 0)
    reader.ignored(`${unread.join(', ')} in ${from}: no effect, for rope type "${String(type)}" does not read this`);
  return read.settings(theta, number, () => readOriginal(reader, rope, from, options, number));
}

interface RopeRule {
  /** Its fields but for the type and theta. */
  readonly keys: readonly string[];
  settings(theta: number, number: (name: string) => number, original: () => number): RopeSettings;
}

const rules: Readonly<Record<string, RopeRule>> = {
  default: { keys: [], settings: (theta) => ({ type: 'default', theta }) },
  linear: { keys: ['factor'], settings: (theta, number) => ({ type: 'linear', theta, factor: number('factor') }) },
  llama3: {
    keys: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    settings: (theta, number, original) => ({
      type: 'llama3',
      theta,
      factor: number('factor'),
      lowFrequencyFactor: number('low_freq_factor'),
      highFrequencyFactor: number('high_freq_factor'),
      originalMaxPositions: original(),
    }),
  },
};

function readOriginal(
  reader: FieldReader,
  rope: Fields,
  from: string,
  { maxPositions }: RopeOptions,
  number: (name: string, fallback?: number) => number,
): number {
  const name = 'original_max_position_embeddings';
  if ((reader.raw(name) ?? undefined) === undefined) return number(name, maxPositions);
  const outside = reader.integer(name);
  const inside = rope[name] ?? outside;
  if (inside !== outside)
    reader.ignored(
      `${name} ${quoteValue(inside)} in ${from} has no effect: the one outside takes precedence, ${outside}`,
    );
  return outside;
}

/** undefined for a field without any content, which transformers passes over. */
function readRecord(reader: FieldReader, name: string): Fields | undefined {
  const value = reader.raw(name) ?? {};
  if (!isRecord(value)) reader.fault(`${name} is ${quoteValue(value)}; expected an object or null`);
  return isRecord(value) && Object.keys(value).length > 0 ? value : undefined;
}

const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
