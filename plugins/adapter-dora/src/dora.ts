import {
  lowRankCopies,
  lowRankSchema,
  lowRankSites,
  lowRankToPeft,
  ModelError,
  plainLowRank,
  type Adapter,
  type FormContext,
  type LinearSite,
  type LowRankSite,
} from '@glulam/model';
import { scope, type LinearForm, type Tensor } from '@glulam/tensors';
import { z } from 'zod';

export const doraSchema = lowRankSchema.extend({
  lora_bias: z
    .literal(false, 'expected false: DoRA has no form with a bias of B, in PEFT either')
    .default(false)
    .describe('As in PEFT, only `false`.'),
  on: z
    .enum(['all', 'repeats'])
    .default('all')
    .describe('`repeats`: the first use of a physical layer gets LoRA, without magnitudes.'),
});
export type DoraOptions = z.infer<typeof doraSchema>;

const magnitude = 'lora_magnitude_vector';

/** Whether a site with an adapter gets a magnitude. */
export const isDecomposed = ({ on }: Pick<DoraOptions, 'on'>, { use }: LinearSite): boolean => on === 'all' || use > 0;

/**
 * Weight-decomposed low-rank adaptation (Liu et al. 2024), with PEFT's arithmetic: y = (m / n) (W x + s B A x) + b with a
 * trained magnitude m [out] and n the norm of each row of W + s B A, taken as constant in the gradient. m begins as n.
 */
export function createDora(options: DoraOptions): Adapter {
  const siteOf = lowRankSites('dora', options);
  const mixed = options.on === 'repeats' && (typeof options.r === 'number' || options.r.first > 0);
  return {
    kind: 'dora',
    at(site) {
      const low = siteOf(site);
      if (low === undefined) return undefined;
      if (!isDecomposed(options, site)) return plainLowRank(low);
      if (site.scale === 0)
        throw new ModelError(
          'ADAPTER_INVALID',
          `${site.path} has a weight that is scaled by 0: DoRA divides by the norms of its rows, which are 0 (PEFT computes NaN there); use the kind lora, or leave it out of target_modules`,
        );
      const form = (tensors: Readonly<Record<string, Tensor>>, context: FormContext): LinearForm => ({
        outScale: context.ops.div(tensors[magnitude]!, rowNorms(low, tensors, context)),
        lowRank: low.lowRank(tensors, context),
      });
      return {
        firstValues: low.firstValues,
        parameters: [
          ...low.parameters,
          {
            name: magnitude,
            shape: [site.outFeatures],
            // What is added begins as zero, so the first norms are those of W.
            initial: ({ frozen, engine }) => engine.unary('sqrt', frozen.squares()),
          },
        ],
        form,
        prepare: (frozen) => void frozen.squares(),
        // With dropout, PEFT scales what it adds for the dropped x alone: y = F x + (m/n - 1) F x' + (m/n) s B A x', F the
        // frozen layer (with PiSSA less s B0 A0). By its linearity that is F (x - x') and the form at x'.
        apply(x, tensors, context) {
          if (!context.training) return undefined;
          const { lowRank, ...rest } = form(tensors, context);
          if (lowRank?.dropout === undefined) return undefined;
          const { ops, linear } = context;
          const { dropout, ...plain } = lowRank;
          const dropped = ops.dropout(x, dropout);
          return ops.add(
            linear(ops.sub(ops.cast(x, 'float32'), dropped), low.frozen(tensors, context)),
            linear(dropped, { ...rest, lowRank: plain }),
          );
        },
      };
    },
    copies: lowRankCopies(options, (site) => siteOf(site) !== undefined),
    peftConfig(sites) {
      const { on: _, ...shared } = options;
      return lowRankToPeft(shared, sites, true);
    },
    notPeft: mixed ? 'the adapter is DoRA on repeats and LoRA on first uses, which PEFT’s files cannot say' : undefined,
  };
}

/**
 * Norms of the rows of W + s B A: [out], a constant. |W|^2 + 2 s <W, B A> + s^2 |B A|^2 row by row, so that nothing of
 * W's size is made: <W, B A> is the row sum of (W A^T) * B, |B A|^2 that of (B A A^T) * B.
 */
function rowNorms(
  { scale }: LowRankSite,
  tensors: Readonly<Record<string, Tensor>>,
  { ops: { engine }, frozen }: FormContext,
): Tensor {
  const [A, B] = [tensors['lora_A.weight']!, tensors['lora_B.weight']!];
  return scope(() => {
    const across = engine.affine(engine.transpose(frozen.times(A), [1, 0]), 2 * scale, 0);
    const within = engine.affine(engine.matmul(B, engine.matmul(A, A, { transposeB: true })), scale * scale, 0);
    const change = engine.reduce('sum', engine.binary('mul', engine.binary('add', across, within), B), 1);
    return engine.unary('sqrt', engine.binary('add', frozen.squares(), engine.reshape(change, [B.shape[0]!])));
  });
}
