import type { Operations, Tensor } from '@glulam/tensors';
import type { Adapter, AdapterForm, ApplyContext, FormContext, LinearSite, SiteAdapter } from './adapter.js';
import { ModelError } from '../errors.js';

/** A part of a sum, see `combineAdapters`. */
export interface WeightedAdapter {
  /** The adapter that this part comes from. */
  readonly adapter: Adapter;
  /** Multiplies its change: 1 is the adapter as it was trained, and 0 leaves it out. */
  readonly weight: number;
}

/** A part of the sum at one site. */
interface SitePart {
  readonly weight: number;
  readonly adapter: SiteAdapter;
  /** Of its parameters in the sum's: each part has tensors of its own. */
  readonly prefix: string;
}

/**
 * Names of a part's tensors begin with its number in the sum, below the module's path:
 * `model.layers.0.self_attn.q_proj.1.lora_A.weight`.
 */
export const partName = (part: number, name: string): string => `${part}.${name}`;

/**
 * The weighted sum of adapters: y = W x + sum of w_i (f_i(x) - W x), with f_i(x) what the i-th alone makes of x. As a form:
 *
 * - low ranks: one of all their ranks, A's one below the other, B's side by side and weighted (PEFT's
 *   `add_weighted_adapter` with `cat`);
 * - outScale: 1 + sum of w_i (outScale_i - 1), each low rank scaled by its own; inScale alike, where no part has an
 *   outScale; biasScale like outScale; biases weighted.
 *
 * An inScale where another part has an outScale is refused: no form says their sum. So is a biasScale where another part
 * applies itself. Where a part applies itself the sum is
 * computed as it is written above. A sum is for generation, scoring and merging; it is not trained.
 */
export function combineAdapters(parts: readonly WeightedAdapter[]): Adapter {
  const why = `a weighted sum of ${parts.length} adapters is not PEFT's; merge it`;
  return {
    kind: 'sum',
    at(site) {
      const here = parts.flatMap(({ adapter, weight }, part): SitePart[] => {
        const each = weight === 0 ? undefined : adapter.at(site);
        return each === undefined ? [] : [{ weight, adapter: each, prefix: partName(part, '') }];
      });
      if (here.length === 0) return undefined;
      return {
        parameters: here.flatMap(({ adapter, prefix }) =>
          adapter.parameters.map((each) => ({ ...each, name: prefix + each.name })),
        ),
        form: (tensors, context) => sumForms(site, here, tensors, context),
        ...(here.some(({ adapter }) => adapter.apply !== undefined)
          ? { apply: (x, tensors, context) => sumOutputs(site, here, x, tensors, context) }
          : {}),
      };
    },
    peftConfig() {
      throw new ModelError('ADAPTER_NOT_PEFT', why);
    },
    notPeft: why,
  };
}

const cannotSum = ({ path }: LinearSite, what: string): ModelError =>
  new ModelError('ADAPTER_INVALID', `the adapters at ${path} cannot be summed: ${what}`);

function sumForms(
  site: LinearSite,
  parts: readonly SitePart[],
  tensors: Readonly<Record<string, Tensor>>,
  context: FormContext,
): AdapterForm {
  if (context.training)
    throw cannotSum(site, 'a sum is not trained; train one of them, or merge the sum and train on it');
  const terms = parts.map((part) => ({
    weight: part.weight,
    form: part.adapter.form(tensorsOf(part, tensors), context),
  }));
  const [only] = terms;
  if (terms.length === 1 && only!.weight === 1) return only!.form;

  const { ops } = context;
  const [scalesIn, scalesOut, scalesBias] = (['inScale', 'outScale', 'biasScale'] as const).map((name) =>
    terms.flatMap(({ weight, form }) => (form[name] === undefined ? [] : [{ weight, scale: form[name] }])),
  ) as [Scaled[], Scaled[], Scaled[]];
  if (scalesIn.length > 0 && scalesOut.length > 0)
    throw cannotSum(
      site,
      'one scales inputs and one outputs, and the sum of both is no change of one weight that a form says',
    );

  const outScale = scalesOut.length === 0 ? undefined : awayFromZero(ops, sumScales(ops, scalesOut));
  const lowRanks = terms.flatMap(({ weight, form: { lowRank, outScale: own } }) => {
    if (lowRank === undefined) return [];
    let B = ops.affine(lowRank.B, weight * lowRank.scale, 0);
    // The form's outScale multiplies the low rank as well: each has to come out with its own.
    if (outScale !== undefined) {
      const share = ops.div(own ?? ops.engine.full(outScale.shape, 1), outScale);
      B = ops.mul(B, ops.reshape(share, [outScale.size, 1]));
    }
    return [{ A: lowRank.A, B }];
  });
  const biases = terms.flatMap(({ weight, form: { bias } }) => (bias ? [ops.affine(bias, weight, 0)] : []));
  const join = (all: readonly Tensor[], axis: number): Tensor =>
    all.length === 1 ? all[0]! : ops.concatenate(all, axis);
  return {
    inScale: scalesIn.length === 0 ? undefined : sumScales(ops, scalesIn),
    outScale,
    lowRank:
      lowRanks.length === 0
        ? undefined
        : {
            A: join(
              lowRanks.map(({ A }) => A),
              0,
            ),
            B: join(
              lowRanks.map(({ B }) => B),
              1,
            ),
            scale: 1,
          },
    biasScale: scalesBias.length === 0 ? undefined : sumScales(ops, scalesBias),
    bias: biases.length === 0 ? undefined : biases.reduce((sum, bias) => ops.add(sum, bias)),
  };
}

/** W x + sum of w_i (f_i(x) - W x), where a part gives f_i(x) itself; undefined where all leave it to their forms. */
function sumOutputs(
  site: LinearSite,
  parts: readonly SitePart[],
  x: Tensor,
  tensors: Readonly<Record<string, Tensor>>,
  context: ApplyContext,
): Tensor | undefined {
  const { ops, linear } = context;
  const applied = parts.map((part) => part.adapter.apply?.(x, tensorsOf(part, tensors), context));
  if (applied.every((output) => output === undefined)) return undefined;
  const rest = 1 - parts.reduce((sum, { weight }) => sum + weight, 0);
  return parts.reduce(
    (sum, part, i) => {
      const form = applied[i] === undefined ? part.adapter.form(tensorsOf(part, tensors), context) : {};
      if (form.biasScale !== undefined)
        throw cannotSum(site, 'one scales the bias of the base, which is not in the output that another makes itself');
      const output = applied[i] ?? linear(x, form);
      return ops.add(sum, ops.affine(output, part.weight, 0));
    },
    ops.affine(linear(x, {}), rest, 0),
  );
}

const tensorsOf = ({ adapter, prefix }: SitePart, tensors: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(adapter.parameters.map(({ name }) => [name, tensors[prefix + name]!]));

interface Scaled {
  readonly weight: number;
  readonly scale: Tensor;
}

/** 1 + sum of w_i (scale_i - 1) */
function sumScales(ops: Operations, scales: readonly Scaled[]): Tensor {
  const terms = scales.map(({ weight, scale }) => ops.affine(scale, weight, -weight));
  return ops.affine(
    terms.reduce((sum, term) => ops.add(sum, term)),
    1,
    1,
  );
}

/** Low ranks are divided by it: a scale of 0 becomes one so small that nothing is seen of it. */
function awayFromZero({ engine }: Operations, scale: Tensor): Tensor {
  const [small, squared] = [engine.full(scale.shape, 1e-18), engine.binary('mul', scale, scale)];
  return engine.select(engine.binary('greaterEqual', squared, engine.full(scale.shape, 1e-36)), scale, small);
}
