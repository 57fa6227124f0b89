import { brokenLink, isMissing, quoteValue } from '@glulam/files';
import { ModelError } from '../errors.js';
import { documentsOf, type DocumentsOf } from '../checkpoints/documents.js';

/** A base checkpoint's `config.json`, as read. */
export interface CheckpointConfig {
  /** Path of the `config.json`. */
  readonly file: string;
  /** Its `model_type`, which names the family. */
  readonly modelType: string;
  /** All of its fields, as JSON has them. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Reports a field that was looked at and has no effect; see `FieldReader.ignored`. */
  readonly report?: ((message: string) => void) | undefined;
}

/**
 * Read `config.json` of a base checkpoint.
 *
 * @throws ModelError CHECKPOINT_INVALID if there is none; CONFIG_INVALID if it cannot be read, is not a JSON object or
 *   names no model_type; QUANTIZED_UNSUPPORTED
 */
export function readCheckpointConfig(base: DocumentsOf): CheckpointConfig {
  const documents = documentsOf(base);
  const { folder } = documents;
  const file = documents.locate('config.json');
  let text: string;
  try {
    text = documents.read('config.json');
  } catch (cause) {
    const missing = isMissing(cause);
    throw new ModelError(
      missing ? 'CHECKPOINT_INVALID' : 'CONFIG_INVALID',
      missing
        ? `${folder} is not a base checkpoint: ${whyMissing(file, cause)}; expected a Hugging Face folder (config.json, *.safetensors, tokenizer.json)`
        : `${file} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(
      'CONFIG_INVALID',
      `${file} is not valid JSON (${(cause as Error).message}); ${jsonAdvice(text)}`,
      { cause },
    );
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new ModelError('CONFIG_INVALID', `${file} holds no JSON object; expected a Hugging Face model config`);
  }
  const record = fields as Record<string, unknown>;
  if (record['quantization_config'] !== undefined && record['quantization_config'] !== null) {
    const method = quoteValue((record['quantization_config'] as Record<string, unknown>)['quant_method'] ?? null);
    throw new ModelError(
      'QUANTIZED_UNSUPPORTED',
      `${file} has a quantization_config (quant_method: ${method}); Glulam reads float32, bfloat16 and float16 weights: use the checkpoint that was quantized`,
    );
  }
  if (typeof record['model_type'] !== 'string') {
    throw new ModelError('CONFIG_INVALID', `${file} names no model_type; expected for example "mistral" or "llama"`);
  }
  return { file, modelType: record['model_type'], fields: record };
}

function whyMissing(file: string, cause: unknown): string {
  if ((cause as NodeJS.ErrnoException).code === 'ENOTDIR')
    return 'it is not a folder, and no checkpoint reader reads it';
  const target = brokenLink(file);
  return target === undefined
    ? 'it has no config.json'
    : `its config.json is a link to ${target}, which does not exist`;
}

/** Python writes and reads NaN and Infinity, which are no JSON. */
function jsonAdvice(text: string): string {
  if (text.startsWith('\uFEFF'))
    return 'it begins with a byte order mark, which transformers refuses too: save it without';
  const number = /[:[,]\s*(NaN|-?Infinity)\b/.exec(text)?.[1];
  return number === undefined ? 'download it again' : `${number} is no number of JSON: write null or a finite number`;
}

/** Reads fields and collects what is wrong with them, so that a config reports all its faults together. */
export interface FieldReader {
  /** A whole number above 0. `fallback` counts where the field is missing or null. Returns 1 after noting a fault. */
  integer(name: string, fallback?: number): number;
  /** A finite number above 0. `fallback` counts where the field is missing or null. Returns 1 after noting a fault. */
  number(name: string, fallback?: number): number;
  /** true or false. `fallback` counts where the field is missing or null, and after noting a fault. */
  boolean(name: string, fallback: boolean): boolean;
  /** The field as it is, unchecked; undefined where it is missing. */
  raw(name: string): unknown;
  /** Note a fault of the config; `finish` throws it with the others. */
  fault(message: string): void;
  /** Reports a field that has no effect, in the reference either: one line for users. */
  ignored(message: string): void;
  /** Throws if any fault was found. */
  finish(): void;
}

/** A reader of one config's fields, for families. */
export function createFieldReader({ file, fields, report }: CheckpointConfig): FieldReader {
  const faults: string[] = [];
  const wrong = (name: string, expected: string): number => {
    faults.push(`${name} is ${quoteValue(fields[name]) ?? 'missing'}; expected ${expected}`);
    return 1;
  };
  const given = (name: string): boolean => fields[name] !== undefined && fields[name] !== null;
  return {
    integer(name, fallback) {
      if (!given(name) && fallback !== undefined) return fallback;
      const value = fields[name];
      return Number.isSafeInteger(value) && (value as number) > 0
        ? (value as number)
        : wrong(name, 'a positive integer');
    },
    number(name, fallback) {
      if (!given(name) && fallback !== undefined) return fallback;
      const value = fields[name];
      return typeof value === 'number' && Number.isFinite(value) && value > 0
        ? value
        : wrong(name, 'a positive number');
    },
    boolean(name, fallback) {
      if (!given(name)) return fallback;
      const value = fields[name];
      if (typeof value === 'boolean') return value;
      wrong(name, 'true or false');
      return fallback;
    },
    raw: (name) => fields[name],
    fault: (message) => void faults.push(message),
    ignored: (message) => report?.(`${file}: ${message}`),
    finish() {
      // A field may be read several times.
      if (faults.length > 0)
        throw new ModelError('CONFIG_INVALID', `${file} cannot be followed:\n  ${[...new Set(faults)].join('\n  ')}`);
    },
  };
}
