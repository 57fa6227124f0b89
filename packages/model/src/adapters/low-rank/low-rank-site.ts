import { normals, uniforms, type LinearForm, type Operations, type Tensor } from '@glulam/tensors';
import type { AdapterParameter, FormContext, LinearSite, SiteAdapter } from '../adapter.js';
import { ModelError } from '../../errors.js';
import { lowRankFaults, type LowRankOptions } from './low-rank-options.js';
import type { PrincipalParts } from './principal-parts.js';
import { rankAt } from './ranks.js';
import { fromPattern, isAdapted } from './targets.js';

const biasName = 'lora_B.bias';

/** The low-rank part of an adapter at one site: B A, scaled, with its dropout (Hu et al. 2021). */
export interface LowRankSite {
  /** r of this site, from 1. */
  readonly rank: number;
  /** alpha / r, or alpha / sqrt(r) with `use_rslora` (Kalajdzievski 2023). */
  readonly scale: number;
  /** A [r, in], B [out, r], with PiSSA A0 and -B0 at their ends; with `lora_bias` B's bias [out]. */
  readonly parameters: readonly AdapterParameter[];
  /** With PiSSA, A and B in whole shapes; see `SiteAdapter.firstValues`. Absent: `initial` gives them. */
  readonly firstValues?: SiteAdapter['firstValues'];
  /** B A, with PiSSA B A - B0 A0. */
  lowRank(tensors: Readonly<Record<string, Tensor>>, context: FormContext): NonNullable<LinearForm['lowRank']>;
  /** With `lora_bias`: what B's bias adds to the output, scaled. */
  bias(tensors: Readonly<Record<string, Tensor>>, context: FormContext): Tensor | undefined;
  /** The frozen layer without the adapter: with PiSSA W - s B0 A0. */
  frozen(tensors: Readonly<Record<string, Tensor>>, context: FormContext): LinearForm;
  /** The trained part of A and B. */
  trained(tensors: Readonly<Record<string, Tensor>>, context: FormContext): { readonly A: Tensor; readonly B: Tensor };
}

/** Check options once; returns what they make of a site, undefined where there is no adapter. By PEFT's rules. */
export function lowRankSites(kind: string, options: LowRankOptions): (site: LinearSite) => LowRankSite | undefined {
  const faults = lowRankFaults(options);
  if (options.matchTrainable !== undefined)
    faults.push(
      'matchTrainable stands for a rank that follows from the model: pass the options through `resolve` first',
    );
  if (faults.length > 0)
    throw new ModelError('ADAPTER_INVALID', `the options of ${kind} do not fit together:\n  ${faults.join('\n  ')}`);
  const { lora_dropout: rate, init_lora_weights: init } = options;
  const principal = usesPrincipal(options);
  const iterations = init === 'pissa' || !principal ? undefined : Number(String(init).slice('pissa_niter_'.length));

  return (site) => {
    if (!isAdapted(options, site)) return undefined;
    const rank = rankAt(options, site);
    if (rank === 0) return undefined;
    const alpha = fromPattern(site, options.alpha_pattern, options.lora_alpha);
    const scale = options.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
    const { inFeatures, outFeatures, path } = site;
    if (principal && rank > Math.min(inFeatures, outFeatures))
      throw new ModelError(
        'ADAPTER_INVALID',
        `${path} has rank ${rank}, and its weight [${outFeatures}, ${inFeatures}] has ${Math.min(inFeatures, outFeatures)} singular values: init_lora_weights "${init}" needs r to be no more`,
      );
    if (principal && site.scale === 0)
      throw new ModelError(
        'ADAPTER_INVALID',
        `${path} has a weight that is scaled by 0, and init_lora_weights "${init}" begins with its principal parts, which are 0 and would never change: use init_lora_weights true, or leave it out of the adapter's targets`,
      );
    // Both scales are in A0 and B0.
    const group = `scale ${scale} of the weight times ${site.scale ?? 1}`;
    const fixed = (axis: 0 | 1) => (principal ? { axis, size: rank, group } : undefined);
    const part = (ops: Operations, tensors: Readonly<Record<string, Tensor>>, which: 0 | 1) => {
      const [A, B] = [tensors['lora_A.weight']!, tensors['lora_B.weight']!];
      return principal
        ? {
            A: ops.slice(A, [which * rank, 0], [rank, inFeatures]),
            B: ops.slice(B, [0, which * rank], [outFeatures, rank]),
          }
        : { A, B };
    };
    return {
      rank,
      scale,
      parameters: [
        {
          name: 'lora_A.weight',
          shape: [rank, inFeatures],
          initial: ({ key }) =>
            init === 'gaussian'
              ? normals(rank * inFeatures, key).map((value) => value / rank)
              : // Kaiming-uniform with a = sqrt(5): the bound is sqrt(6 / ((1 + a^2) in)) = 1 / sqrt(in).
                uniforms(rank * inFeatures, key).map((value) => (2 * value - 1) / Math.sqrt(inFeatures)),
          fixed: fixed(0),
        },
        {
          name: 'lora_B.weight',
          shape: [outFeatures, rank],
          initial: () => new Float32Array(outFeatures * rank),
          learningRateFactor: options.loraplus_lr_ratio,
          fixed: fixed(1),
        },
        ...(options.lora_bias
          ? [
              {
                name: biasName,
                shape: [outFeatures],
                initial: () => new Float32Array(outFeatures),
                learningRateFactor: options.loraplus_lr_ratio,
              },
            ]
          : []),
      ],
      firstValues: principal
        ? async ({ frozen }) => principalValues(await frozen.principal(rank, iterations), site, scale)
        : undefined,
      lowRank: (tensors, { training, key }) => ({
        A: tensors['lora_A.weight']!,
        B: tensors['lora_B.weight']!,
        scale,
        dropout: training && rate > 0 ? { rate, key } : undefined,
      }),
      bias: (tensors, { ops }) => (options.lora_bias ? ops.affine(tensors[biasName]!, scale, 0) : undefined),
      frozen: (tensors, { ops }) => (principal ? { lowRank: { ...part(ops, tensors, 1), scale } } : {}),
      trained: (tensors, { ops }) => part(ops, tensors, 0),
    };
  };
}

export const usesPrincipal = ({ init_lora_weights: init }: Pick<LowRankOptions, 'init_lora_weights'>): boolean =>
  init !== true && init !== 'gaussian';

/** A = A0 = (S / s)^(1/2) V^T and B = B0 = U (S / s)^(1/2), as PEFT begins; [A; A0] and [B, -B0]. */
function principalValues(
  { left, values, right }: PrincipalParts,
  { inFeatures, outFeatures }: LinearSite,
  scale: number,
): Record<string, Float32Array> {
  const rank = values.length;
  const A = new Float32Array(2 * rank * inFeatures);
  const B = new Float32Array(outFeatures * 2 * rank);
  values.forEach((value, k) => {
    const root = Math.sqrt(value / scale);
    for (let i = 0; i < inFeatures; i++)
      A[k * inFeatures + i] = A[(rank + k) * inFeatures + i] = root * right[k * inFeatures + i]!;
    for (let o = 0; o < outFeatures; o++) {
      B[o * 2 * rank + k] = root * left[k * outFeatures + o]!;
      B[o * 2 * rank + rank + k] = -B[o * 2 * rank + k]!;
    }
  });
  return { 'lora_A.weight': A, 'lora_B.weight': B };
}
