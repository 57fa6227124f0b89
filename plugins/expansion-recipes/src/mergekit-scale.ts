import type { VirtualLayer } from '@glulam/model';
import { refused } from './refused.js';

/** Numbers, one at each of some equal distances, are a gradient over a slice's layers. */
type Value = number | readonly number[];
/** The first entry whose filter is a part of a tensor's name counts. */
export type ScaleSetting = Value | readonly { readonly filter: string | undefined; readonly value: Value }[];

/**
 * What mergekit's `scale` says.
 *
 * @param at whose it is, for messages
 */
export function readScale(value: unknown, at: string): ScaleSetting {
  const numberOf = (each: unknown): number => {
    if (typeof each === 'boolean') return Number(each);
    if (typeof each === 'number' && Number.isFinite(each)) return each;
    throw refused(
      `${at} is ${describe(each)}; expected a number, a list of numbers (a gradient), or a list of {filter, value}`,
    );
  };
  const valueOf = (each: unknown): Value =>
    Array.isArray(each) && each.length > 0 ? (each as unknown[]).map(numberOf) : numberOf(each);
  const isEntry = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each);

  if (!Array.isArray(value) || !value.some(isEntry)) return valueOf(value);
  return (value as unknown[]).map((entry) => {
    if (!isEntry(entry)) throw refused(`${at} is a list of filters and numbers; expected one or the other`);
    const filter = entry['filter'] ?? undefined;
    if (filter !== undefined && typeof filter !== 'string')
      throw refused(`${at} has the filter ${describe(filter)}; expected a text`);
    return { filter, value: valueOf(entry['value']) };
  });
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const said = JSON.stringify(value)?.slice(0, 80) ?? 'missing';
  if (typeof value !== 'string' || value.trim() === '' || !Number.isFinite(Number(value))) return said;
  return /e/i.test(value)
    ? `the text ${said} (in YAML 1.1, which mergekit reads, a number with an exponent has a point and a sign: 1.0e-3)`
    : `the text ${said} (a number has no quotes)`;
}

/** `t` goes from 0 at a slice's first layer to 1 at its last. */
function valueAt(value: Value, t: number): number {
  if (typeof value === 'number') return value;
  const place = t * (value.length - 1);
  const below = Math.floor(place);
  const above = Math.min(value.length - 1, below + 1);
  return (1 - (place - below)) * value[below]! + (place - below) * value[above]!;
}

/** The factor of a tensor: of the settings, nearest first, the first that has one for its name; 1 where none has. */
function scaleOf(tensor: string, t: number, scales: readonly ScaleSetting[]): number {
  for (const scale of scales) {
    if (!isConditional(scale)) return valueAt(scale, t);
    const entry = scale.find(({ filter }) => filter === undefined || filter === '*' || tensor.includes(filter));
    if (entry !== undefined) return valueAt(entry.value, t);
  }
  return 1;
}

const isConditional = (scale: ScaleSetting): scale is Exclude<ScaleSetting, Value> =>
  typeof scale !== 'number' && typeof scale[0] !== 'number';

/** Refuses a factor of a tensor that virtual layers cannot scale. */
export function checkUnscaled(tensor: string, t: number, scales: readonly ScaleSetting[], at: string): void {
  const factor = scaleOf(tensor, t, scales);
  if (factor === 1) return;
  throw refused(
    `${at} scales ${tensor} by ${factor}. Only linear layers can be scaled here, and a scale without a filter is of every ` +
      'tensor: filter by linear layers (o_proj, down_proj), and let the last entry be {value: 1.0}',
  );
}

/**
 * The virtual layer of a physical one. A factor that o_proj and down_proj have in common is a residual scale; 0 is not,
 * since what a residual scale of 0 multiplies never learns.
 */
export function scaledLayer(
  physical: number,
  t: number,
  scales: readonly ScaleSetting[],
  linears: readonly string[],
  at: string,
): VirtualLayer {
  if (scales.length === 0) return { physical };
  const path = `model.layers.${physical}`;
  for (const norm of ['input_layernorm', 'post_attention_layernorm'])
    checkUnscaled(`${path}.${norm}.weight`, t, scales, at);
  const factors = new Map<string, number>();
  for (const linear of linears) {
    const [weight, bias] = [
      scaleOf(`${path}.${linear}.weight`, t, scales),
      scaleOf(`${path}.${linear}.bias`, t, scales),
    ];
    if (weight !== bias)
      throw refused(
        `${at} scales ${linear}.weight by ${weight} and ${linear}.bias by ${bias}; a linear layer is scaled as a whole: let the filter be ${linear}`,
      );
    if (weight !== 1) factors.set(linear, weight);
  }
  const [attention, mlp] = [factors.get('self_attn.o_proj'), factors.get('mlp.down_proj')];
  if (attention === undefined || attention === 0 || attention !== mlp)
    return { physical, ...(factors.size === 0 ? {} : { linearScales: Object.fromEntries(factors) }) };
  factors.delete('self_attn.o_proj');
  factors.delete('mlp.down_proj');
  const rest = factors.size === 0 ? {} : { linearScales: Object.fromEntries(factors) };
  return { physical, residualScale: attention, ...rest };
}
