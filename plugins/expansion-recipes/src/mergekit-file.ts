import { FilesError, readPythonYaml } from '@glulam/files';
import { ModelError, mostLayers, type VirtualLayer } from '@glulam/model';
import { z } from 'zod';
import { modelSchema, nameOf, type MergekitModel } from './mergekit-model.js';
import { checkUnscaled, readScale, scaledLayer, type ScaleSetting } from './mergekit-scale.js';
import { refused } from './refused.js';

// mergekit's models (mergekit/config.py) ignore keys that they do not have: these keep them, to report them.
const parametersSchema = z.record(z.string(), z.unknown()).nullish();
/** A whole number, or what pydantic makes one of: `"8"`, `"8.0"`, `true`. */
const layerIndex = z.preprocess((value) => {
  if (typeof value === 'boolean') return Number(value);
  const [, digits] = (typeof value === 'string' && /^\s*([+-]?\d+(?:_\d+)*)(?:\.0+)?\s*$/.exec(value)) || [];
  return digits === undefined ? value : Number(digits.replaceAll('_', ''));
}, z.int());
const sourceSchema = z.looseObject({
  model: modelSchema,
  layer_range: z.tuple([layerIndex, layerIndex]),
  parameters: parametersSchema,
});
const sliceSchema = z.looseObject({
  sources: z.array(sourceSchema).min(1),
  base_model: modelSchema.nullish(),
  parameters: parametersSchema,
});
const wholeSchema = z.looseObject({ model: modelSchema, parameters: parametersSchema });
const outputSchema = z.looseObject({
  slices: z.array(sliceSchema).nullish(),
  models: z.array(wholeSchema).nullish(),
  parameters: parametersSchema,
});
const tokensSchema = z.union([z.literal(['union', 'base']), modelSchema]).nullish();
const tokenizerSchema = z.looseObject({
  source: tokensSchema,
  tokens: z.record(z.string(), z.unknown()).nullish(),
  pad_to_multiple_of: z.int().nullish(),
});
const text = z.string().nullish();
const fileSchema = z.looseObject({
  ...outputSchema.shape,
  modules: z.record(z.string(), outputSchema).nullish(),
  merge_method: z.literal('passthrough'),
  base_model: modelSchema.nullish(),
  dtype: text,
  out_dtype: text,
  chat_template: text,
  tokenizer_source: tokensSchema,
  tokenizer: tokenizerSchema.nullish(),
});
type File = z.infer<typeof fileSchema>;
type Output = z.infer<typeof outputSchema>;
type Parameters = z.infer<typeof parametersSchema>;

/** One slice of the output. */
interface Slice {
  /** For messages. */
  readonly at: string;
  readonly model: MergekitModel;
  /** undefined: the whole model. */
  readonly range: readonly [number, number] | undefined;
  /** Nearest first: of the source, the slice, the module and the file. */
  readonly scales: readonly ScaleSetting[];
}

/** A mergekit passthrough file all of whose sources are one model. */
export interface MergekitFile {
  /** @throws ModelError EXPANSION_INVALID */
  layers(physicalLayers: number, linears: readonly string[]): VirtualLayer[];
  /** What the file says that has no effect. */
  readonly warnings: readonly string[];
}

/**
 * @param name of the file, for messages
 * @throws ModelError EXPANSION_INVALID that names what cannot be followed
 */
export function readMergekitFile(content: string, name: string): MergekitFile {
  const named = <T>(body: () => T): T => {
    try {
      return body();
    } catch (cause) {
      if (!(cause instanceof ModelError || cause instanceof FilesError)) throw cause;
      throw refused(`${name} cannot be followed: ${cause.message}`, cause);
    }
  };
  return named(() => {
    const file = parseFile(content);
    const dropped = { keys: new Set<string>(), parameters: new Set<string>() };
    const slices = readSlices(file, dropped);
    const model = onlyModel(slices);
    checkModels(file, model);
    return {
      layers: (physicalLayers, linears) => named(() => layersOf(slices, physicalLayers, linears)),
      warnings: warningsOf(file, model, dropped).map((warning) => `${name}: ${warning}`),
    };
  });
}

/** The virtual layers of a mergekit file; see `readMergekitFile`. */
export const readMergekitLayers = (
  content: string,
  name: string,
  physicalLayers: number,
  linears: readonly string[],
): VirtualLayer[] => readMergekitFile(content, name).layers(physicalLayers, linears);

function parseFile(content: string): File {
  const yaml = readPythonYaml(content);
  const method = (yaml as { merge_method?: unknown } | null)?.merge_method;
  if (typeof method === 'string' && method !== 'passthrough')
    throw refused(
      `its merge_method is "${method}", which mixes weights; expected "passthrough", which lays out layers`,
    );
  const parsed = fileSchema.safeParse(yaml);
  if (!parsed.success) throw refused(`it is no passthrough file of mergekit:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

interface Dropped {
  readonly keys: Set<string>;
  /** Of `parameters`. */
  readonly parameters: Set<string>;
}

function readSlices(file: File, dropped: Dropped): Slice[] {
  const note = (schema: z.ZodObject, value: object, at = ''): void => {
    for (const key of Object.keys(value)) if (!(key in schema.shape)) dropped.keys.add(at + key);
  };
  const scalesOf = (parameters: Parameters, at: string): ScaleSetting[] => {
    for (const key of Object.keys(parameters ?? {})) if (key !== 'scale') dropped.parameters.add(key);
    if (!('scale' in (parameters ?? {}))) return [];
    return [readScale(parameters!['scale'], `the scale of ${at}`)];
  };
  /** mergekit ignores these of a source, and who wrote them meant another model. */
  const checkSource = (source: object, at: string): void => {
    const key = ['revision', 'lora'].find((each) => each in source);
    if (key !== undefined)
      throw refused(
        `${at} has ${key} beside model, where mergekit ignores it; a revision is a part of the name (name@revision), and ` +
          'a LoRA has to be merged into the base first',
      );
  };

  note(fileSchema, file);
  if (file.tokenizer != null) note(tokenizerSchema, file.tokenizer, 'tokenizer.');
  const ofFile = scalesOf(file.parameters, 'the file');
  const output = onlyOutput(file);
  const ofModule = output === file ? [] : scalesOf(output.parameters, 'modules.default');
  if (output !== file) note(outputSchema, output, 'modules.default.');
  const outer = [...ofModule, ...ofFile];
  if (output.models != null) {
    if (output.models.length > 1)
      throw refused(`it has ${output.models.length} models; expected one, or slices: an expansion is of one base`);
    return output.models.map((each) => {
      const { model, parameters } = each;
      checkSource(each, 'its model');
      note(wholeSchema, each, 'models.');
      return { at: 'its model', model, range: undefined, scales: [...scalesOf(parameters, 'its model'), ...outer] };
    });
  }
  return output.slices!.map((slice, index) => {
    const at = `slice ${index}`;
    note(sliceSchema, slice, 'slices.');
    for (const source of slice.sources) {
      checkSource(source, at);
      note(sourceSchema, source, 'sources.');
    }
    const [source, ...more] = slice.sources;
    if (more.length > 0) throw refused(`${at} has ${slice.sources.length} sources; a passthrough slice has one`);
    const { model, layer_range: range, parameters } = source!;
    const own = scalesOf(parameters, `the source of ${at}`);
    checkSame(slice.base_model, model, `the base_model of ${at}`);
    return { at, model, range, scales: [...own, ...scalesOf(slice.parameters, at), ...outer] };
  });
}

/** Where the file says its slices or models: at the top, or in the one module. */
function onlyOutput(file: File): Output {
  const modules = Object.entries(file.modules ?? {});
  const given = [modules, file.slices ?? [], file.models ?? []].filter(({ length }) => length > 0);
  if (given.length !== 1)
    throw refused('it has to have exactly one of slices, models and modules, and not an empty one');
  if (modules.length === 0) return file;
  const [[name, module], ...more] = modules as [[string, Output], ...[string, Output][]];
  if (more.length > 0 || name !== 'default')
    throw refused(
      `it has the modules ${list(modules.map(([each]) => each))}; expected default alone, which is the text model`,
    );
  if ((module.slices?.length ?? 0) > 0 === (module.models?.length ?? 0) > 0)
    throw refused('modules.default has to have either slices or models');
  return module;
}

function onlyModel(slices: readonly Slice[]): MergekitModel {
  const models = new Map(slices.map(({ model }) => [nameOf(model), model]));
  const [model] = models.values();
  if (models.size > 1)
    throw refused(
      `its layers come from ${models.size} models (${[...models.keys()].join(', ')}), as Goliath's do; an expansion shares the weights of ` +
        'one base: merge such a model with mergekit, and take the result as the base',
    );
  const { lora, override } = model!;
  if (lora !== undefined)
    throw refused(
      `its model is ${nameOf(model!)}, which is a model with a LoRA merged in: merge it first, take the result as the base, ` +
        'and name that one in the file',
    );
  if (override !== undefined)
    throw refused(`its model has override_architecture ${override}; a base is read as its config.json says`);
  return model!;
}

function checkSame(other: MergekitModel | null | undefined, model: MergekitModel, at: string): void {
  if (other == null || nameOf(other) === nameOf(model)) return;
  throw refused(`${at} is ${nameOf(other)}, and the layers come from ${nameOf(model)}; expected the same model`);
}

/** Config, tokenizer and embeddings of another model, or other embeddings, would make another model. */
function checkModels({ base_model: base, tokenizer_source: source, tokenizer }: File, model: MergekitModel): void {
  checkSame(base, model, 'its base_model');
  if (typeof source !== 'string') checkSame(source, model, 'its tokenizer_source');
  if (tokenizer == null) return;
  if (source != null) throw refused('it has both tokenizer_source and tokenizer; mergekit takes one');
  if (typeof tokenizer.source !== 'string') checkSame(tokenizer.source, model, "its tokenizer's source");
  const changes = [
    ...(Object.keys(tokenizer.tokens ?? {}).length > 0 ? ['tokens'] : []),
    ...(tokenizer.pad_to_multiple_of == null ? [] : ['pad_to_multiple_of']),
  ];
  if (changes.length > 0)
    throw refused(
      `its tokenizer has ${list(changes)}, which changes the embeddings; an expansion keeps those of the base: merge such a ` +
        'model with mergekit, and take the result as the base',
    );
}

function layersOf(slices: readonly Slice[], physicalLayers: number, linears: readonly string[]): VirtualLayer[] {
  const ranges = slices.map(({ at, range = [0, physicalLayers] as const }) => {
    const [start, end] = range;
    if (start >= end) throw refused(`${at} has the layer_range [${start}, ${end}], which is empty`);
    if (start < 0) throw refused(`${at} has the layer_range [${start}, ${end}]; expected layers from 0 on`);
    return range;
  });
  const total = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  if (total > mostLayers)
    throw refused(`it has ${total} layers; no model has so many (at most ${mostLayers} are read)`);
  const [first, last] = [slices[0]!, slices.at(-1)!];
  // mergekit takes embeddings with the first slice and what comes after the layers with the last.
  checkUnscaled('model.embed_tokens.weight', 0, first.scales, first.at);
  for (const tensor of ['model.norm.weight', 'lm_head.weight']) checkUnscaled(tensor, 1, last.scales, last.at);
  return slices.flatMap((slice, index) => {
    const [start, end] = ranges[index]!;
    if (end > physicalLayers)
      throw refused(
        `${slice.at} has the layer_range [${start}, ${end}], which names physical layer ${end - 1}; the base has layers 0 to ${physicalLayers - 1}`,
      );
    const count = end - start;
    return Array.from({ length: count }, (_, i) =>
      scaledLayer(start + i, count === 1 ? 1 : i / (count - 1), slice.scales, linears, slice.at),
    );
  });
}

function warningsOf(file: File, model: MergekitModel, { keys, parameters }: Dropped): string[] {
  const output = (['dtype', 'out_dtype', 'chat_template', 'tokenizer_source', 'tokenizer'] as const).filter(
    (key) => file[key] != null,
  );
  // A remark, of no model.
  const unknown = [...keys].filter((key) => key !== 'name');
  return [
    ...(output.length === 0 ? [] : [`no effect here: ${list(output)} (for the files that mergekit writes)`]),
    ...(parameters.size === 0 ? [] : [`passthrough does not read the parameters ${list([...parameters])}`]),
    ...(unknown.length === 0 ? [] : [`mergekit ignores ${list(unknown)}, and so does Glulam`]),
    ...(model.revision === undefined
      ? []
      : [`the revision ${model.revision} has no effect: the layers are those of the config's base`]),
  ];
}

/** A few of them: a file may have any number. */
const list = (names: readonly string[]): string =>
  names.length <= 8 ? names.join(', ') : `${names.slice(0, 7).join(', ')} and ${names.length - 7} more`;
