import { ModelError, readYaml, type VirtualLayer } from '@glulam/model';
import { z } from 'zod';

/** A number, or the numbers of linear layers by a part of their names: the first whose filter fits, else the one without. */
const scaleSchema = z.union([
  z.number(),
  z.array(z.union([z.number(), z.strictObject({ filter: z.string().optional(), value: z.number() })])).min(1),
]);
const modelSchema = z.union([z.string(), z.looseObject({ model: z.looseObject({ path: z.string() }) }).transform(({ model }) => model.path)]); // prettier-ignore
const sourceSchema = z.strictObject({
  model: modelSchema,
  layer_range: z.tuple([z.int().min(0), z.int().positive()]),
  parameters: z.strictObject({ scale: scaleSchema.optional() }).optional(),
});
const fileSchema = z.looseObject({
  slices: z.array(z.strictObject({ sources: z.array(sourceSchema).min(1) })).min(1),
  merge_method: z.literal('passthrough'),
});
/** Keys that change nothing of the layers or of what they compute. */
const harmless = new Set(['slices', 'merge_method', 'dtype', 'out_dtype', 'name']);

/**
 * The virtual layers of a mergekit passthrough file all of whose sources are one model.
 *
 * @param name of the file, for messages
 * @throws ModelError EXPANSION_INVALID that names what cannot be followed
 */
export function readMergekitLayers(text: string, name: string): VirtualLayer[] {
  const refused = (message: string, cause?: unknown): ModelError =>
    new ModelError('EXPANSION_INVALID', `${name} cannot be followed: ${message}`, { cause });
  let yaml: unknown;
  try {
    yaml = readYaml(text);
  } catch (cause) {
    throw refused((cause as Error).message, cause);
  }
  const method = (yaml as { merge_method?: unknown } | null)?.merge_method;
  if (typeof method === 'string' && method !== 'passthrough')
    throw refused(
      `its merge_method is "${method}", which mixes weights; expected "passthrough", which lays out layers`,
    );
  const parsed = fileSchema.safeParse(yaml);
  if (!parsed.success) throw refused(`it is no passthrough file of mergekit:\n${z.prettifyError(parsed.error)}`);
  const { slices, ...rest } = parsed.data;
  const unknown = Object.keys(rest).filter((key) => !harmless.has(key));
  if (unknown.length > 0)
    throw refused(
      `it has ${unknown.join(', ')}, which an expansion cannot say; expected slices, merge_method and dtype`,
    );
  const models = new Set(slices.flatMap(({ sources }) => sources.map(({ model }) => model)));
  if (models.size > 1) {
    throw refused(
      `its layers come from ${models.size} models (${[...models].join(', ')}), as Goliath's do; an expansion shares the weights of ` +
        'one base: merge such a model with mergekit, and take the result as the base',
    );
  }
  return slices.flatMap(({ sources }, index) => {
    if (sources.length > 1) throw refused(`slice ${index} has ${sources.length} sources; a passthrough slice has one`);
    const { layer_range: range, parameters } = sources[0]!;
    const [start, end] = range;
    if (start >= end) throw refused(`slice ${index} has the layer_range [${start}, ${end}], which is empty`);
    if (end > 10_000)
      throw refused(`slice ${index} has the layer_range [${start}, ${end}]; no model has so many layers`);
    const scale = residualScaleOf(parameters?.scale, (message) => refused(`slice ${index} ${message}`));
    return Array.from({ length: end - start }, (_, i) => ({
      physical: start + i,
      ...(scale === undefined ? {} : { residualScale: scale }),
    }));
  });
}

/**
 * The factor on what both sub-blocks add, which is that of o_proj and down_proj: a virtual layer has no other place for
 * scales.
 */
function residualScaleOf(
  scale: z.infer<typeof scaleSchema> | undefined,
  refused: (message: string) => ModelError,
): number | undefined {
  if (scale === undefined) return undefined;
  const entries = (typeof scale === 'number' ? [scale] : scale).map((each) => (typeof each === 'number' ? { value: each } : each)); // prettier-ignore
  let rest: number | undefined;
  const scales = new Map<string, number>();
  for (const { filter, value } of entries) {
    // What stands behind an entry without a filter is never reached.
    if (rest !== undefined) break;
    if (filter === undefined || filter === '*') rest = value;
    else if (filter !== 'o_proj' && filter !== 'down_proj') {
      if (value !== 1) throw refused(`scales ${filter} by ${value}; of scales only those of o_proj and down_proj can be followed`); // prettier-ignore
    } else if (!scales.has(filter)) scales.set(filter, value);
  }
  // mergekit scales by 1 what nothing names.
  if (rest !== undefined && rest !== 1)
    throw refused(`scales all weights by ${rest}; of scales only those of o_proj and down_proj can be followed`);
  const [attention, mlp] = [scales.get('o_proj') ?? 1, scales.get('down_proj') ?? 1];
  if (attention !== mlp)
    throw refused(`scales o_proj by ${attention} and down_proj by ${mlp}; a residualScale is the same for both`);
  return attention === 1 ? undefined : attention;
}
