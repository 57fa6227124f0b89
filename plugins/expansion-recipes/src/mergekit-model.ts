import { z } from 'zod';

interface Place {
  readonly path: string;
  readonly revision: string | undefined;
}

/** A model as mergekit names it: a path or a Hub name, with a revision and a LoRA that is merged in. */
export interface MergekitModel extends Place {
  readonly lora: Place | undefined;
  /** Another architecture to read the model as. */
  readonly override: string | undefined;
}

/** Keys that mergekit ignores here are refused: whoever wrote a revision beside the name meant another model. */
const placeSchema = z.union([z.string(), z.strictObject({ path: z.string(), revision: z.string().nullish() })]);
const partsSchema = z.strictObject({
  model: placeSchema,
  lora: placeSchema.nullish(),
  override_architecture: z.string().nullish(),
});

/** `name`, `name@revision`, `name+lora`, or a mapping of these parts. */
export const modelSchema = z.union([z.string(), partsSchema]).transform((value, context): MergekitModel => {
  const [name, adapter, ...more] = typeof value === 'string' ? value.split('+') : [value.model, value.lora];
  const model = placeOf(name);
  const lora = adapter == null ? undefined : placeOf(adapter);
  if (model !== undefined && more.length === 0 && (adapter == null || lora !== undefined))
    return { ...model, lora, override: (typeof value === 'string' ? null : value.override_architecture) ?? undefined };
  context.addIssue(`${JSON.stringify(value)} names no model; expected name, name@revision or name+lora`);
  return z.NEVER;
});

function placeOf(from: z.infer<typeof placeSchema> | null | undefined): Place | undefined {
  if (from == null) return undefined;
  if (typeof from !== 'string') return { path: from.path, revision: from.revision ?? undefined };
  const [path, revision, ...more] = from.split('@');
  return more.length > 0 ? undefined : { path: path!, revision };
}

const nameOfPlace = ({ path, revision }: Place): string => (revision === undefined ? path : `${path}@${revision}`);

/** As mergekit writes it. */
export const nameOf = (model: MergekitModel): string =>
  model.lora === undefined ? nameOfPlace(model) : `${nameOfPlace(model)}+${nameOfPlace(model.lora)}`;
