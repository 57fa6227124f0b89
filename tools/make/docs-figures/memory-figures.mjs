import path from 'node:path';
import { formatBytes } from '@glulam/trainer';
import { loadConfig, plan } from 'glulam';
import { colours, label, rect, svg } from './svg.mjs';

const root = path.join(import.meta.dirname, '../../..');

const recipes = [
  { name: 'Mistral 7B, r=12', file: 'examples/plans/mistral-7b.config.ts', base: true },
  { name: 'Mistral 7B as 48 layers, r=8', file: 'examples/plans/mistral-7b.config.ts', drawn: true },
  { name: 'without recom\u00adputation', file: 'examples/plans/mistral-7b.config.ts', recompute: false },
  { name: 'gated, repeats alone', file: 'docs/snippets/recipes/gated-repeats.config.ts' },
  { name: 'LLaMA-Pro, 40 layers', file: 'docs/snippets/recipes/llama-pro.config.ts' },
  { name: 'Llama 2 70B as 140 layers, r=8', file: 'examples/plans/llama-2-70b.config.ts', drawn: true },
];

/**
 * Plans of the recipes for two threads of AVX2, whichever machine this one is.
 *
 * @returns {Promise<{ name: string, drawn: boolean, plan: import('glulam').RunPlan }[]>}
 */
export async function planRecipes() {
  const plans = [];
  for (const { name, file, base, recompute = true, drawn = false } of recipes) {
    const { config } = await loadConfig(path.join(root, file));
    const asItIs = { expansion: undefined, adapter: { ...config.adapter, r: 12, lora_alpha: 24 } };
    const engine = { kind: 'native', threads: 2, isa: 'avx2' };
    plans.push({
      name,
      drawn,
      plan: await plan({ ...config, ...(base && asItIs), train: { ...config.train, recompute }, engine }),
    });
  }
  return plans;
}

const takenBy = ({ bytes }) => bytes.peak - bytes.process;
const billions = (count) => `${(count / 1e9).toFixed(count >= 1e10 ? 1 : 2)} B`;

/** @type {[string, (plan: any) => string | number][]} */
const quantities = [
  ['products in', ({ engine }) => engine.precision],
  ['virtual layers', ({ layers }) => layers.length],
  ['effective parameters', ({ parameters }) => billions(parameters.effective)],
  ['trained parameters', ({ parameters }) => `${(parameters.trainable / 1e6).toFixed(1)} M`],
  ['weights, mapped', ({ bytes }) => formatBytes(bytes.weights)],
  ['adapters, gradients, optimizer', ({ bytes }) => formatBytes(bytes.adapters + bytes.gradients + bytes.optimizer)],
  ['kept activations', ({ bytes }) => formatBytes(bytes.activations)],
  ['logits', ({ bytes }) => formatBytes(bytes.logits)],
  ['**the run takes**', (each) => `**${formatBytes(takenBy(each))}**`],
  ['KV cache, a token', ({ bytes }) => formatBytes(bytes.keyValuesPerToken)],
];

/** A column for each recipe. @param {Awaited<ReturnType<typeof planRecipes>>} plans */
export const memoryTable = (plans) =>
  [
    `| | ${plans.map(({ name }) => name).join(' | ')} |`,
    `| --- |${' --: |'.repeat(plans.length)}`,
    ...quantities.map(([name, of]) => `| ${name} | ${plans.map(({ plan: each }) => of(each)).join(' | ')} |`),
    '',
  ].join('\n');

/** For the two that share most: the weights of the expanded model as a plain one against what a run here takes. */
export function memoryBars(plans) {
  const pictures = plans
    .filter(({ drawn }) => drawn)
    .map(({ name, plan: each }) => {
      const { parameters, bytes } = each;
      // Checkpoints of both bases have two bytes a parameter.
      const plain = 2 * parameters.effective;
      const all = 400 / Math.max(plain, bytes.weights + takenBy(each));
      const [apart, mapped, taken] = [plain * all, bytes.weights * all, takenBy(each) * all].map(Math.round);
      return svg(400, 118, `${name}: ${formatBytes(bytes.weights)} of weights instead of ${formatBytes(plain)}`, [
        label({ x: 0, y: 14, text: name }),
        label({
          x: 0,
          y: 36,
          text: `weights, if no layer shared them: ${formatBytes(plain)}`,
          size: 12,
          fill: colours.quiet,
        }),
        rect({ x: 0, y: 42, width: apart, height: 14, fill: colours.first }),
        label({
          x: 0,
          y: 78,
          text: `weights, mapped once: ${formatBytes(bytes.weights)}; a training step: ${formatBytes(takenBy(each))}`,
          size: 12,
          fill: colours.quiet,
        }),
        rect({ x: 0, y: 84, width: mapped, height: 14, fill: colours.first }),
        rect({ x: mapped + 2, y: 84, width: taken, height: 14, fill: colours.repeat }),
      ]);
    });
  return `<div>\n${pictures.join('\n')}\n</div>\n`;
}
