import { ModelError, type Adapter, type LinearSite } from '@glulam/model';
import { normals, uniforms } from '@glulam/tensors';
import { loraFaults, type LoraOptions } from './options.js';
import { loraToPeft } from './peft.js';
import { rankAt } from './ranks.js';
import { fromPattern, isTarget } from './targets.js';

/**
 * Low-rank adaptation (Hu et al. 2021): y = W x + s B A dropout(x), A [r, in], B [out, r], with PEFT's scaling s:
 * alpha / r, or alpha / sqrt(r) with `use_rslora` (Kalajdzievski 2023).
 */
export function createLora(options: LoraOptions): Adapter {
  const faults = loraFaults(options);
  if (options.matchTrainable !== undefined)
    faults.push(
      'matchTrainable stands for a rank that follows from the model: pass the options through `resolve` first',
    );
  if (faults.length > 0)
    throw new ModelError('ADAPTER_INVALID', `the LoRA options do not fit together:\n  ${faults.join('\n  ')}`);
  const { lora_dropout: rate, layers_to_transform: only } = options;
  const layers = only === null ? undefined : new Set([only].flat());

  return {
    kind: 'lora',
    at(site: LinearSite) {
      if (!isTarget(site, options.target_modules) || (layers !== undefined && !layers.has(site.virtual)))
        return undefined;
      const rank = rankAt(options, site);
      if (rank === 0) return undefined;
      const alpha = fromPattern(site, options.alpha_pattern, options.lora_alpha);
      const scale = options.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
      const { inFeatures, outFeatures } = site;
      return {
        parameters: [
          {
            name: 'lora_A.weight',
            shape: [rank, inFeatures],
            initial: (key) =>
              options.init_lora_weights === 'gaussian'
                ? normals(rank * inFeatures, key).map((value) => value / rank)
                : // Kaiming-uniform with a = sqrt(5): the bound is sqrt(6 / ((1 + a^2) in)) = 1 / sqrt(in).
                  uniforms(rank * inFeatures, key).map((value) => (2 * value - 1) / Math.sqrt(inFeatures)),
          },
          { name: 'lora_B.weight', shape: [outFeatures, rank], initial: () => new Float32Array(outFeatures * rank) },
        ],
        form: (tensors, { training, key }) => ({
          lowRank: {
            A: tensors['lora_A.weight']!,
            B: tensors['lora_B.weight']!,
            scale,
            dropout: training && rate > 0 ? { rate, key } : undefined,
          },
        }),
      };
    },
    peftConfig: (sites) => loraToPeft(options, sites),
  };
}
