import { normals, uniforms, type LinearForm, type Tensor } from '@glulam/tensors';
import type { AdapterParameter, FormContext, LinearSite } from '../adapter.js';
import { ModelError } from '../errors.js';
import { lowRankFaults, type LowRankOptions } from './low-rank-options.js';
import { rankAt } from './ranks.js';
import { fromPattern, isAdapted } from './targets.js';

/** The low-rank part of an adapter at one site: B A, scaled, with its dropout (Hu et al. 2021). */
export interface LowRankSite {
  readonly rank: number;
  /** alpha / r, or alpha / sqrt(r) with `use_rslora` (Kalajdzievski 2023). */
  readonly scale: number;
  /** A [r, in], B [out, r] */
  readonly parameters: readonly AdapterParameter[];
  lowRank(tensors: Readonly<Record<string, Tensor>>, context: FormContext): NonNullable<LinearForm['lowRank']>;
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
  const { lora_dropout: rate } = options;

  return (site) => {
    if (!isAdapted(options, site)) return undefined;
    const rank = rankAt(options, site);
    if (rank === 0) return undefined;
    const alpha = fromPattern(site, options.alpha_pattern, options.lora_alpha);
    const scale = options.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
    const { inFeatures, outFeatures } = site;
    return {
      rank,
      scale,
      parameters: [
        {
          name: 'lora_A.weight',
          shape: [rank, inFeatures],
          initial: ({ key }) =>
            options.init_lora_weights === 'gaussian'
              ? normals(rank * inFeatures, key).map((value) => value / rank)
              : // Kaiming-uniform with a = sqrt(5): the bound is sqrt(6 / ((1 + a^2) in)) = 1 / sqrt(in).
                uniforms(rank * inFeatures, key).map((value) => (2 * value - 1) / Math.sqrt(inFeatures)),
        },
        {
          name: 'lora_B.weight',
          shape: [outFeatures, rank],
          initial: () => new Float32Array(outFeatures * rank),
          learningRateFactor: options.loraplus_lr_ratio,
        },
      ],
      lowRank: (tensors, { training, key }) => ({
        A: tensors['lora_A.weight']!,
        B: tensors['lora_B.weight']!,
        scale,
        dropout: training && rate > 0 ? { rate, key } : undefined,
      }),
    };
  };
}
