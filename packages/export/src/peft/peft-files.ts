import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeFile } from 'node:fs/promises';
import {
  openSafetensors,
  quoteValue,
  readFloats,
  readTextFile,
  writeFolderAtomic,
  writeSafetensors,
} from '@glulam/files';
import {
  checkFiniteRows,
  checkPrefix,
  checkAdapterOptions,
  guardAdapter,
  isPlainRoute,
  keepPeftFields,
  layerMap,
  layersOfMap,
  mostLayers,
  nameInFile,
  peftPrefix,
  type AdapterContribution,
  type AdapterValues,
  type Decoder,
  type ModelSpec,
  type TrainedValues,
  type VirtualLayer,
  type SavedAdapter,
} from '@glulam/model';
import { ExportError } from '../errors.js';
import { readAsPeft } from './peft-reading.js';

/**
 * Read `adapter_config.json` and `adapter_model.safetensors`.
 *
 * @param spec the base it is to be put on
 */
export function readPeftAdapter(folder: string, kinds: readonly AdapterContribution[], spec: ModelSpec): SavedAdapter {
  const file = path.join(folder, 'adapter_config.json');
  if (!existsSync(file)) {
    throw new ExportError(
      'ADAPTER_INVALID',
      `${folder} has no adapter_config.json; expected the folder of a PEFT adapter`,
    );
  }
  const fields = readPeftConfig(folder);
  const { config, values, warnings } =
    fields['peft_type'] === 'LORA'
      ? readAsPeft(fields, readAdapterTensors(folder), spec)
      : { config: fields, values: undefined, warnings: [] };
  const adapter = kinds
    .map((kind) => ({ kind, options: kind.fromPeft(config) }))
    .find(({ options }) => options !== undefined);
  if (adapter === undefined) {
    const says = `peft_type ${quoteValue(config['peft_type'])}${config['use_dora'] === true ? ' with use_dora' : ''}`;
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} says ${says}; installed adapters: ${kinds.map(({ kind }) => kind).join(', ') || 'none'}`,
    );
  }
  checkAdapterOptions(adapter.kind, adapter.options, spec);
  const kept = keepPeftFields(guardAdapter(adapter.kind, adapter.kind.create(adapter.options)), config);
  return {
    adapter: kept.adapter,
    warnings: [...warnings, ...kept.warnings],
    choice: { kind: adapter.kind.kind, options: adapter.options },
    layers: readReplication(config['layer_replication'], file),
    values: values ?? readAdapterTensors(folder),
    base: typeof config['base_model_name_or_path'] === 'string' ? config['base_model_name_or_path'] : undefined,
  };
}

/** The fields of a folder's `adapter_config.json`. */
export function readPeftConfig(folder: string): Readonly<Record<string, unknown>> {
  const file = path.join(folder, 'adapter_config.json');
  let config: unknown;
  try {
    config = JSON.parse(readTextFile(file));
  } catch (cause) {
    throw new ExportError('ADAPTER_INVALID', `${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new ExportError('ADAPTER_INVALID', `${file} holds ${quoteValue(config)}; expected an object`);
  return config as Readonly<Record<string, unknown>>;
}

const brokenAdapter =
  'it was trained to divergence or the file is damaged; take an earlier checkpoint, or get the file again';

/** The tensors of an adapter folder, by `Decoder.parameters`' names. Reading one throws WEIGHT_NOT_FINITE or FILE_CHANGED. */
export function readAdapterTensors(folder: string): AdapterValues {
  const weights = path.join(folder, 'adapter_model.safetensors');
  if (!existsSync(weights)) {
    const pickle = existsSync(path.join(folder, 'adapter_model.bin'))
      ? '. Its adapter_model.bin is a pickle file, which can run code and is not read. Convert it in Python: PeftModel.from_pretrained(base, folder).save_pretrained(new_folder)'
      : '';
    throw new ExportError('ADAPTER_INVALID', `${folder} has no adapter_model.safetensors${pickle}`);
  }
  const tensors = openSafetensors(weights);
  const values = new Map<string, TrainedValues>();
  checkPrefix(tensors.names(), weights);
  for (const name of tensors.names()) {
    const inModel = nameInFile(name);
    if (inModel === undefined) continue;
    if (values.has(inModel))
      throw new ExportError(
        'ADAPTER_INVALID',
        `${weights} has ${name} and another tensor that stands for ${inModel} too`,
      );
    const source = tensors.source(name);
    const readRows = (start: number, end: number): Float32Array => {
      const rows = readFloats(source, start, end);
      tensors.checkUnchanged();
      return checkFiniteRows(source, rows, start, brokenAdapter);
    };
    values.set(inModel, {
      shape: source.shape,
      readRows,
      // Copies of the base's tensors may be as large as the base: not all at once.
      get values() {
        return readRows(0, source.shape[0] ?? 1);
      },
    });
  }
  return values;
}

function readReplication(value: unknown, file: string): readonly VirtualLayer[] | undefined {
  // PEFT takes an empty list for none.
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  const intervals = Array.isArray(value) ? (value as unknown[]) : [undefined];
  const whole = intervals.map((interval): [number, number] => {
    const [start, end, ...more] = Array.isArray(interval) ? (interval as unknown[]) : [];
    if (Number.isInteger(start) && Number.isInteger(end) && more.length === 0) {
      const [from, to] = [start as number, end as number];
      if (from >= 0 && from < to) return [from, to];
    }
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} has layer_replication ${quoteValue(value)}; expected a list of [start, end] with 0 <= start < end`,
    );
  });
  const total = whole.reduce((sum, [start, end]) => sum + end - start, 0);
  if (total > mostLayers)
    throw new ExportError(
      'ADAPTER_INVALID',
      `${file} has layer_replication ${quoteValue(value)}, which makes ${total} layers; expected at most ${mostLayers}`,
    );
  return layersOfMap(whole);
}

/** What of a decoder PEFT's files cannot say; undefined: they can say all. */
export function notPeft(decoder: Pick<Decoder, 'layers' | 'adapter' | 'spec'>): string | undefined {
  const { layers, adapter } = decoder;
  if (adapter?.notPeft !== undefined) return adapter.notPeft;
  for (const [index, layer] of layers.entries()) {
    const factors = ['residualScale', 'linearScales', 'gate'] as const;
    const field = layer.weights === 'own' ? 'weights' : factors.find((name) => layer[name] !== undefined);
    if (field !== undefined)
      return `virtual layer ${index} has ${field}, which PEFT's files cannot say; use the compact form or merge`;
  }
  const type = adapter?.peftConfig([])['peft_type'];
  if (adapter !== undefined && type !== 'LORA' && isExpanded(decoder))
    return `PEFT expands models for LORA alone, and ${adapter.kind} is ${JSON.stringify(type)}; use the compact form or merge`;
  return undefined;
}

const isExpanded = ({ layers, spec }: Pick<Decoder, 'layers' | 'spec'>): boolean =>
  layers.length !== spec.layers.length || layers.some(({ physical }, index) => physical !== index);

/** Write a decoder's adapter as PEFT reads it; replaces an adapter that is there whole, or leaves it whole. */
export async function writePeftAdapter(decoder: Decoder, folder: string, baseName: string): Promise<void> {
  const fault = notPeft(decoder);
  if (fault !== undefined) throw new ExportError('ADAPTER_NOT_PEFT', fault);
  await writeFolderAtomic(folder, async (temporary) => {
    await writePeftConfig(decoder, temporary, baseName);
    await writeAdapterTensors(decoder, temporary);
  });
}

export async function writePeftConfig(decoder: Decoder, folder: string, baseName: string): Promise<void> {
  const { adapter, layers, sites } = decoder;
  if (adapter === undefined) throw new ExportError('ADAPTER_INVALID', 'the model has no adapter to save');
  const { name, revision } = splitRevision(baseName);
  const fields = adapter.peftConfig(sites);
  const config = {
    ...fields,
    base_model_name_or_path: name,
    revision,
    inference_mode: true,
    // Of PEFT's other types none has the field, and each warns of it.
    ...(fields['peft_type'] === 'LORA' && { layer_replication: isExpanded(decoder) ? layerMap(layers) : null }),
  };
  await writeFile(path.join(folder, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`);
}

/** A base of the Hub, `owner/name@revision`, as PEFT has it; folders are as they are. */
function splitRevision(base: string): { readonly name: string; readonly revision: string | null } {
  const [, name, revision] = /^([^/\\:@]+\/[^/\\@]+)@(.+)$/.exec(base) ?? [];
  return name === undefined ? { name: base, revision: null } : { name, revision: revision! };
}

/** @throws ExportError ADAPTER_INVALID if the decoder's route is not that of its layers, which no adapter file holds */
export async function writeAdapterTensors(decoder: Decoder, folder: string): Promise<void> {
  const { parameters, engine, copies, fixed, layers, route } = decoder;
  if (!isPlainRoute(route, layers.length))
    throw new ExportError(
      'ADAPTER_INVALID',
      'the decoder was opened with a route of its own, which adapter files do not hold: loaded again, its layers would run once each, in order; ' +
        'save its parameters with writeSafetensors and pass them as adapterValues with the same route',
    );
  // PEFT's files have what virtual layers share once for each of them.
  const aliases = new Map(notPeft(decoder) === undefined ? copies.map((copy) => [copy.name, copy.aliases]) : []);
  await writeSafetensors(
    path.join(folder, 'adapter_model.safetensors'),
    [...parameters].flatMap(([name, tensor]) => {
      const behind = fixed.get(name);
      const shape =
        behind === undefined
          ? tensor.shape
          : tensor.shape.map((length, axis) => (axis === behind.axis ? length + behind.tensor.shape[axis]! : length));
      const values = async (): Promise<Float32Array> => {
        if (behind === undefined) return (await engine.read(tensor)) as Float32Array;
        const whole = engine.concatenate([tensor, behind.tensor], behind.axis);
        try {
          return (await engine.read(whole)) as Float32Array;
        } finally {
          whole.release();
        }
      };
      return [name, ...(aliases.get(name) ?? [])].map((each) => ({
        name: peftPrefix + each,
        shape,
        dtype: 'float32' as const,
        values,
      }));
    }),
  );
}
