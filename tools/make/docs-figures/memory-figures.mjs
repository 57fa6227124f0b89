import path from 'node:path';
import { formatBytes } from '@glulam/trainer';
import { loadConfig, plan } from 'glulam';
import { colours, siteChart } from './site-chart.mjs';

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
export async function memoryBars(plans) {
  const bars = plans
    .filter(({ drawn }) => drawn)
    .map(({ name, plan: each }) => {
      // Checkpoints of both bases have two bytes a parameter.
      const plain = 2 * each.parameters.effective;
      const { weights } = each.bytes;
      const meaning = `${name}: ${formatBytes(weights)} of weights instead of ${formatBytes(plain)}`;
      return siteChart(barsOf(name, plain, weights, takenBy(each)), meaning);
    });
  return `<div>\n${(await Promise.all(bars)).join('\n')}\n</div>\n`;
}

/** @returns {import('@glulam/trainer').Chart} */
function barsOf(name, plain, mapped, taken) {
  const [apart, shared] = ['if no layer shared weights', 'weights mapped once'];
  const parts = ['weights', 'a training step'];
  const y = {
    field: 'bar',
    type: /** @type {const} */ ('nominal'),
    title: null,
    sort: [apart, shared],
    axis: { ticks: false, domain: false, labelLimit: 240 },
  };
  return {
    title: name,
    width: 300,
    height: { step: 30 },
    layer: [
      {
        data: {
          values: [
            { bar: apart, part: parts[0], gigabytes: plain / 1e9 },
            { bar: shared, part: parts[0], gigabytes: mapped / 1e9 },
            { bar: shared, part: parts[1], gigabytes: taken / 1e9 },
          ],
        },
        mark: { type: 'bar', height: 16 },
        encoding: {
          y,
          x: { field: 'gigabytes', type: 'quantitative', title: 'GB', axis: { tickCount: 5, grid: false } },
          color: {
            field: 'part',
            type: 'nominal',
            scale: { domain: parts, range: [colours.first, colours.repeat] },
            legend: { title: null, orient: 'bottom' },
          },
          order: { field: 'part', sort: 'descending' },
        },
      },
      {
        data: {
          values: [
            { bar: apart, end: plain / 1e9, text: formatBytes(plain) },
            { bar: shared, end: (mapped + taken) / 1e9, text: `${formatBytes(mapped)} + ${formatBytes(taken)}` },
          ],
        },
        mark: { type: 'text', align: 'left', dx: 6, fontSize: 12, color: colours.quiet },
        encoding: { y, x: { field: 'end', type: 'quantitative' }, text: { field: 'text' } },
      },
    ],
  };
}
