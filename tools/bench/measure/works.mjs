// What the benchmark measures: each work is done by Glulam and by PEFT in processes of their own, by the same arguments of
// measure.mjs and peft_bench.py, and gives one row of the table or several.
import { promptCost, stepCost, visitedWeights } from './model-cost.mjs';
import { median } from './median.mjs';

const rank = 8;
const promptTokens = 2048;

/** Tokens a second by the median time, without the first of them, which pays for what later ones find ready. */
const speed = (times, tokens) => tokens / median(times.slice(1));

function step(config, layers, { tokens = 512, recompute = false, operands = 'bfloat16' }) {
  const { total } = stepCost(config, { layers, tokens, rank, recompute });
  return {
    unit: 'tokens/s',
    figure: (one) => speed(one.step_times, tokens),
    share: { of: operands, perUnit: total / tokens / 1e9 },
  };
}

/**
 * The table of a checkpoint with this config as `layers` virtual layers. A row's `figure` is that of one process, as
 * measure.mjs and peft_bench.py print it; `goal` a bound of Glulam's over PEFT's (`atLeast`, `atMost`), of Glulam's own (`below`) or of the share;
 * `share` says what one unit of the figure takes (GFLOP of such operands, or GB read) of the machine's limit.
 *
 * @param {object} config
 * @param {number} layers
 */
export function works(config, layers) {
  return {
    lora: {
      args: ['--steps', '4'],
      rows: [
        { label: 'LoRA step, bfloat16 base, nothing recomputed', ...step(config, layers, {}), goal: { atLeast: 1.3 } },
        {
          label: 'its peak memory beyond the weights',
          unit: 'GB',
          figure: (one) => one.peak_rss_gb - one.weights_gb,
          goal: { atMost: 0.3 },
        },
        {
          label: 'process start to the end of the first step',
          unit: 's',
          figure: (one) => one.first_step_at - one.started_at,
        },
        {
          label: 'of that, what is not the step',
          unit: 's',
          figure: (one) => one.first_step_at - one.started_at - one.step_times[0],
          goal: { below: 2 },
        },
      ],
    },
    dora: {
      args: ['--steps', '3', '--dora'],
      rows: [{ label: 'DoRA step', ...step(config, layers, {}), goal: { atLeast: 3.1 } }],
    },
    float32: {
      args: ['--steps', '3', '--dtype', 'float32'],
      rows: [
        { label: 'LoRA step, float32', ...step(config, layers, { operands: 'float32' }), goal: { atLeast: 1.25 } },
      ],
    },
    recompute: {
      args: ['--steps', '2', '--seq', '2048', '--checkpointing'],
      rows: [
        {
          label: 'LoRA step with recomputation, 2048 tokens',
          ...step(config, layers, { tokens: 2048, recompute: true }),
          goal: { atLeast: 1.5 },
        },
        { label: 'its peak memory', unit: 'GB', figure: (one) => one.peak_rss_gb, goal: { atMost: 0.6 } },
      ],
    },
    decode: {
      args: ['--steps', '0', '--decode', '32'],
      rows: [
        {
          label: 'decoding, batch 1',
          unit: 'tokens/s',
          figure: (one) => one.decode_per_s,
          share: { of: 'reads', perUnit: (2 * visitedWeights(config, layers)) / 1e9 },
          goal: { share: 0.8 },
        },
      ],
    },
    prompt: {
      args: ['--steps', '0', '--prefill', String(promptTokens)],
      rows: [
        {
          label: `prompt processing, ${promptTokens} tokens`,
          unit: 'tokens/s',
          figure: (one) => speed(one.prefill_times, promptTokens),
          share: {
            of: 'bfloat16',
            perUnit: promptCost(config, { layers, tokens: promptTokens, rank }).total / promptTokens / 1e9,
          },
          goal: { atLeast: 1.5 },
        },
      ],
    },
  };
}
