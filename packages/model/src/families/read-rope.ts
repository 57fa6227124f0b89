import { quoteValue } from '@glulam/files';
import type { FieldReader } from './checkpoint-config.js';
import type { RopeSettings } from '../decoder/rope.js';

/** What a family says of its rotary embedding beside its config. */
export interface RopeReadOptions {
  /** What `original_max_position_embeddings` is where no field gives it. */
  readonly maxPositions?: number | undefined;
  /**
   * The reference's class turns whole heads under rope type "default", whatever `partial_rotary_factor` says. Llama's and
   * Mistral's do; those of other families turn a part, which is refused here.
   */
  readonly ignoresPartialRotary?: boolean | undefined;
  /** Other names that the family's configs have for types. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  /** The base of the angles where no field gives one; default: 10000. */
  readonly theta?: number | undefined;
  /** The share of each head that the family turns, which it has read itself; default: 1. */
  readonly turned?: number | undefined;
  /** Elements of a head that are turned, which the lists of `longrope` must fit; default: they are not checked. */
  readonly dimensions?: number | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * The rotary embedding of a config in today's style (`rope_parameters`) or the published one (`rope_theta` and
 * `rope_scaling`, whose type is called `type` or `rope_type`). Where a config has several spellings, the one that
 * transformers follows counts (`RotaryEmbeddingConfigMixin` in modeling_rope_utils.py), and the others are reported:
 * `rope_scaling` before `rope_parameters`, the theta inside before the one outside, `rope_type` before `type`, and
 * `original_max_position_embeddings` outside before the one inside.
 */
export function readRope(reader: FieldReader, options: RopeReadOptions = {}): RopeSettings {
  const scaling = readRecord(reader, 'rope_scaling');
  const parameters = readRecord(reader, 'rope_parameters');
  const [from, rope]: [string, Fields] = scaling ? ['rope_scaling', scaling] : ['rope_parameters', parameters ?? {}];
  if (scaling && parameters && JSON.stringify(scaling) !== JSON.stringify(parameters))
    reader.ignored('rope_parameters has no effect: rope_scaling takes precedence, as in transformers');

  return readRopeRecord(reader, from, rope, options);
}

/**
 * The rotary embedding that one object of a config describes, `from` saying which.
 *
 * @param outside the field of the config that gives theta where the object does not
 */
export function readRopeRecord(
  reader: FieldReader,
  from: string,
  rope: Fields,
  options: RopeReadOptions = {},
  outside = 'rope_theta',
): RopeSettings {
  const number = (name: string, fallback?: number): number => {
    const value = rope[name] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    reader.fault(`rope's ${name} is ${quoteValue(value) ?? 'missing'}; expected a positive number`);
    return 1;
  };
  const stated = reader.raw(outside) ?? undefined;
  const theta = number('rope_theta', reader.number(outside, options.theta ?? 10000));
  if (stated !== undefined && stated !== theta)
    reader.ignored(`${outside} ${quoteValue(stated)} has no effect: ${from} has its own, ${theta}`);

  const named = 'rope_type' in rope ? rope['rope_type'] : 'type' in rope ? rope['type'] : 'default';
  const { aliases = {} } = options;
  const type = typeof named === 'string' && Object.hasOwn(aliases, named) ? aliases[named] : named;
  if ('rope_type' in rope && 'type' in rope && rope['type'] !== named)
    reader.ignored(`type ${quoteValue(rope['type'])} in ${from} has no effect: rope_type takes precedence`);

  const nested = Object.keys(rope).filter((key) => isRecord(rope[key]));
  if (nested.length > 0) {
    reader.fault(`${from} has settings of its own for ${nested.join(' and ')}; expected one rotary embedding`);
    return { type: 'default', theta };
  }
  const rule = typeof type === 'string' && Object.hasOwn(rules, type) ? rules[type] : undefined;
  if (rule === undefined) {
    reader.fault(
      `rope type ${quoteValue(type)} is not known; expected ${Object.keys(rules)
        .join(', ')
        .replace(/, (?=\w+$)/, ' or ')}`,
    );
    return { type: 'default', theta };
  }

  const partial = rope['partial_rotary_factor'] ?? reader.raw('partial_rotary_factor') ?? 1;
  if (partial !== (options.turned ?? 1)) {
    const what = `partial_rotary_factor is ${quoteValue(partial)}`;
    if (type === 'default' && options.ignoresPartialRotary === true)
      reader.ignored(`${what}, which has no effect: rope type "default" turns whole heads here, as in transformers`);
    else reader.fault(`${what}; expected 1: this family turns whole heads`);
  }
  const unread = Object.keys(rope).filter(
    (key) =>
      rope[key] !== null && !['type', 'rope_type', 'rope_theta', 'partial_rotary_factor', ...rule.keys].includes(key),
  );
  if (unread.length > 0)
    reader.ignored(`${unread.join(', ')} in ${from}: no effect, for rope type "${String(type)}" does not read this`);
  return rule.settings({
    theta,
    options,
    reader,
    record: rope,
    number,
    original: () => readOriginal(reader, rope, from, options, number),
  });
}

interface RopeReading {
  readonly theta: number;
  readonly options: RopeReadOptions;
  readonly reader: FieldReader;
  /** The settings as the config has them. */
  readonly record: Fields;
  /** One of them, above 0. */
  readonly number: (name: string, fallback?: number) => number;
  /** `original_max_position_embeddings`, from where transformers takes it. */
  readonly original: () => number;
}

interface RopeRule {
  /** Its fields but for the type and theta. */
  readonly keys: readonly string[];
  settings(reading: RopeReading): RopeSettings;
}

/** YaRN's temperature (Peng et al. 2023). */
const temperature = (factor: number, scale = 1): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);

const longrope: RopeRule = {
  keys: ['short_factor', 'long_factor', 'factor', 'attention_factor', 'original_max_position_embeddings'],
  settings({ theta, options: { maxPositions, dimensions }, reader, record, number, original }) {
    const list = (name: string): readonly number[] => {
      const value = record[name];
      const pairs = dimensions === undefined ? undefined : dimensions / 2;
      const isRight =
        Array.isArray(value) &&
        value.every((each) => typeof each === 'number' && Number.isFinite(each) && each > 0) &&
        (pairs === undefined || value.length === pairs);
      if (isRight) return value as number[];
      const got = Array.isArray(value) ? `${value.length} values` : (quoteValue(value) ?? 'missing');
      reader.fault(
        `rope's ${name} is ${got}; expected ${pairs ?? 'a list of'} positive numbers, one for each pair of elements that is turned`,
      );
      return [];
    };
    const originalMaxPositions = original();
    const stretch = number('factor', (maxPositions ?? originalMaxPositions) / originalMaxPositions);
    return {
      type: 'longrope',
      theta,
      shortFactor: list('short_factor'),
      longFactor: list('long_factor'),
      originalMaxPositions,
      attentionFactor: number(
        'attention_factor',
        stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(originalMaxPositions)),
      ),
    };
  },
};

const rules: Readonly<Record<string, RopeRule>> = {
  default: { keys: [], settings: ({ theta }) => ({ type: 'default', theta }) },
  linear: { keys: ['factor'], settings: ({ theta, number }) => ({ type: 'linear', theta, factor: number('factor') }) },
  dynamic: {
    keys: ['factor'],
    settings: ({ theta, options, number, original }) => ({
      type: 'dynamic',
      theta,
      factor: number('factor'),
      maxPositions: options.maxPositions ?? original(),
    }),
  },
  yarn: {
    keys: [
      ...['factor', 'original_max_position_embeddings', 'beta_fast', 'beta_slow', 'truncate'],
      ...['attention_factor', 'mscale', 'mscale_all_dim'],
    ],
    settings({ theta, reader, record, number, original }) {
      const factor = number('factor');
      const truncate = record['truncate'] ?? true;
      if (typeof truncate !== 'boolean')
        reader.fault(`rope's truncate is ${quoteValue(truncate)}; expected true or false`);
      const both = (record['mscale'] ?? 0) !== 0 && (record['mscale_all_dim'] ?? 0) !== 0;
      const scales = both
        ? temperature(factor, number('mscale')) / temperature(factor, number('mscale_all_dim'))
        : temperature(factor);
      return {
        type: 'yarn',
        theta,
        factor,
        originalMaxPositions: original(),
        betaFast: number('beta_fast', 32),
        betaSlow: number('beta_slow', 1),
        truncate: truncate !== false,
        attentionFactor: number('attention_factor', scales),
      };
    },
  },
  longrope,
  llama3: {
    keys: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    settings: ({ theta, number, original }) => ({
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
  { maxPositions }: RopeReadOptions,
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

/** A JSON object. */
export const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
