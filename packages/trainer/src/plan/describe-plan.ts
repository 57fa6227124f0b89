import { layerMap } from '@glulam/model';
import type { AvailableMemory } from './available-memory.js';
import { drawLayers } from './draw-layers.js';
import { formatBytes } from './format-bytes.js';
import type { RunPlan } from './plan-run.js';

/** A plan as text for people, `width` characters wide where it can be. */
export function describePlan(plan: RunPlan, width = 100): string {
  const { parameters, batch, bytes, memory, engine, layers, physicalLayers } = plan;
  const share = ((100 * parameters.trainable) / parameters.effective).toPrecision(2);
  const step = `${formatCount(batch.tokens)} tokens in ${formatCount(batch.sequences)} sequence${batch.sequences === 1 ? '' : 's'}`;
  const weights = !plan.hasWeights ? ', read from config.json alone: its weights are not there' : '';
  return [
    `base ${plan.base} (${plan.family})${weights}`,
    `engine ${engine.kind}, ${engine.precision}`,
    '',
    `${physicalLayers} physical layers as ${layers.length} virtual layers`,
    `layer map ${JSON.stringify(layerMap(layers))}`,
    ...drawLayers(physicalLayers, layers, width),
    '',
    'parameters',
    row('stored', formatLarge(parameters.stored), 'in the base'),
    row('effective', formatLarge(parameters.effective), 'as if each virtual layer had weights of its own'),
    row('trainable', formatCount(parameters.trainable), `${share}% of the effective ones`),
    '',
    `memory of a step with ${step}${batch.perStep > 1 ? `, ${batch.perStep} batches a step` : ''}`,
    `  (the largest batch ${batch.fromData ? "of the run's data" : 'that the config allows: its data was not read'}${plan.recompute ? '; with recomputation' : ''})`,
    row(
      'base weights',
      formatBytes(bytes.weights),
      bytes.weights > 0 ? 'mapped from its files: can be evicted' : 'read as they are needed',
    ),
    ...(bytes.weightCopies > 0
      ? [row('copies of weights', formatBytes(bytes.weightCopies), 'by an engine that cannot use them in place')]
      : []),
    row('adapters', formatBytes(bytes.adapters)),
    row('gradients', formatBytes(bytes.gradients)),
    row('optimizer state', formatBytes(bytes.optimizer)),
    row('kept activations', formatBytes(bytes.activations)),
    row('logits', formatBytes(bytes.logits)),
    row('this process', formatBytes(bytes.process)),
    row('peak', formatBytes(bytes.peak), 'at once, cannot be evicted'),
    row('KV cache', formatBytes(bytes.keyValuesPerToken), 'a token, when text is generated'),
    '',
    `this machine: ${describeMemory(memory)}`,
    verdictOf(plan),
  ].join('\n');
}

function verdictOf({ verdict, bytes, memory, engine }: RunPlan): string {
  const needed = formatBytes(bytes.peak - bytes.process);
  const estimated = engine.hasPlan ? '' : ` (the engine ${engine.kind} foresees no memory itself: an estimate)`;
  switch (verdict) {
    case 'fits':
      return `It fits: the run takes ${needed} more${estimated}, and the weights stay in memory beside it.`;
    case 'weights are read again':
      return `It runs, slowly: it takes ${needed} more${estimated}, which leaves no room for all ${formatBytes(bytes.weights)} of weights: they are read again from disk in every step.`;
    case 'does not fit':
      if (bytes.peak - bytes.process > (engine.limit ?? Infinity))
        return `It does not fit: the run takes ${needed}, and the engine ${engine.kind} holds at most ${formatBytes(engine.limit!)} with these options.`;
      return `It does not fit: the run takes ${needed} more${estimated}; ${formatBytes(memory.available)} are available.`;
  }
}

/** 24.57 GB available of 25.28 GB, limit 8.00 GB */
export const describeMemory = ({ available, total, limit }: AvailableMemory): string =>
  `${formatBytes(available)} available of ${formatBytes(total)}${limit === undefined ? '' : `, limit ${formatBytes(limit)}`}`;

const row = (name: string, figure: string, note = ''): string =>
  `  ${name.padEnd(18)}${figure.padStart(12)}${note === '' ? '' : `  ${note}`}`;

const formatCount = (count: number): string => count.toLocaleString('en-US');

/** 7,241,732,096 as 7.24 B. */
function formatLarge(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(count >= 1e10 ? 1 : 2)} B`;
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : formatCount(count);
}
