import { layerMap } from '@glulam/model';
import type { DeviceMemory } from '@glulam/tensors';
import type { AvailableMemory } from './available-memory.js';
import { drawLayers } from './draw-layers.js';
import { formatBytes } from './format-bytes.js';
import type { RunPlan } from './plan-run.js';

/** A plan as text for people, `width` characters wide where it can be. */
export function describePlan(plan: RunPlan, width = 100): string {
  const { parameters, batch, bytes, memory, device, engine, layers, physicalLayers } = plan;
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
    ...(device === undefined ? [] : [row('on the device', formatBytes(bytes.device), 'at once, of its own memory')]),
    row('KV cache', formatBytes(bytes.keyValuesPerToken), 'a token, when text is generated'),
    '',
    `this machine: ${describeMemory(memory)}`,
    ...(device === undefined ? [] : [`device: ${describeDevice(device)}`]),
    verdictOf(plan),
  ].join('\n');
}

function verdictOf(plan: RunPlan): string {
  const { verdict, bytes, memory, device, engine } = plan;
  const needed = formatBytes(bytes.peak - bytes.process);
  const estimated = engine.hasPlan ? '' : ` (the engine ${engine.kind} foresees no memory itself: an estimate)`;
  switch (verdict) {
    case 'fits':
      if (device !== undefined)
        return `It fits this machine, which it takes ${needed} more of${estimated}; of ${device.name} it takes ${formatBytes(bytes.device)}${device.availableBytes === undefined ? ', which does not say what it has' : ''}.`;
      return `It fits: the run takes ${needed} more${estimated}, and the weights stay in memory beside it.`;
    case 'weights are read again':
      return `It runs, slowly: it takes ${needed} more${estimated}, which leaves no room for all ${formatBytes(bytes.weights)} of weights: they are read again from disk in every step.`;
    case 'does not fit':
      if (exceedsDevice(plan))
        return `It does not fit: the run takes ${formatBytes(bytes.device)} of ${device!.name}, which has ${formatBytes(device!.availableBytes!)} available.`;
      if (exceedsEngine(plan))
        return `It does not fit: the run takes ${formatBytes(engineBytes(plan))}, and the engine ${engine.kind} holds at most ${formatBytes(engine.limit!)} with these options.`;
      return `It does not fit: the run takes ${needed} more${estimated}; ${formatBytes(memory.available)} are available.`;
  }
}

/** NVIDIA H200, 139.00 GB available */
const describeDevice = ({ name, availableBytes }: DeviceMemory): string =>
  `${name}, ${availableBytes === undefined ? 'which does not say what it has' : `${formatBytes(availableBytes)} available`}`;

/** What the engine takes, in whichever memory. */
export const engineBytes = ({ bytes, device }: RunPlan): number =>
  device === undefined ? bytes.peak - bytes.process : bytes.device;

/** Whether it is more than the engine can hold, whatever memory there is. */
export const exceedsEngine = (plan: RunPlan): boolean => engineBytes(plan) > (plan.engine.limit ?? Infinity);

/** Whether the device has not enough memory. */
export const exceedsDevice = ({ bytes, device }: RunPlan): boolean =>
  bytes.device > (device?.availableBytes ?? Infinity);

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
