import { TrainerError } from '../errors.js';
import { engineBytes, exceedsDevice, exceedsEngine } from './describe-plan.js';
import { formatBytes } from './format-bytes.js';
import type { RunPlan } from './plan-run.js';

/**
 * Refuse a run that would be killed for its memory, and warn of one that would read its weights over and over. What an
 * engine without a plan of its own takes is an estimate: that is only warned of.
 *
 * @throws TrainerError MEMORY_INSUFFICIENT
 */
export function checkMemory(plan: RunPlan, warn: (message: string) => void): void {
  const { verdict, bytes, memory, engine } = plan;
  if (verdict === 'fits') return;
  const needed = formatBytes(bytes.peak - bytes.process);
  const available = formatBytes(memory.available);
  if (verdict === 'weights are read again') {
    warn(
      `the run takes ${needed} that cannot be evicted and has ${formatBytes(bytes.weights)} of mapped weights, while ${available} are available: ` +
        'a part of the weights is read from disk again in every step',
    );
    return;
  }
  if (exceedsEngine(plan)) {
    throw new TrainerError(
      'MEMORY_INSUFFICIENT',
      `the run takes ${formatBytes(engineBytes(plan))} (copies of the base's weights ${formatBytes(bytes.weightCopies)}, ${largest(plan)}), and the engine ${engine.kind} ` +
        `holds at most ${formatBytes(engine.limit!)} with these options; choose another engine or backend, or a smaller base. See it all: glulam plan CONFIG`,
    );
  }
  const { device } = plan;
  const message = exceedsDevice(plan)
    ? `the run takes ${formatBytes(bytes.device)} of ${device!.name} (copies of the base's weights ${formatBytes(bytes.weightCopies)}, ${largest(plan)}), which has ${formatBytes(device!.availableBytes!)} available; ${remedy(plan)}`
    : `the run takes ${needed} that cannot be evicted (${largest(plan)}), and ${available} are available; ${remedy(plan)}`;
  if (!engine.hasPlan) return warn(`${message}. The engine ${engine.kind} foresees no memory itself: an estimate.`);
  throw new TrainerError('MEMORY_INSUFFICIENT', `${message}. See it all: glulam plan CONFIG`);
}

function parts({ bytes }: RunPlan): [name: string, bytes: number][] {
  return [
    ['kept activations', bytes.activations],
    ['adapters, gradients and optimizer', bytes.adapters + bytes.gradients + bytes.optimizer],
    ['logits', bytes.logits],
  ];
}

const largest = (plan: RunPlan): string =>
  parts(plan)
    .map(([name, size]) => `${name} ${formatBytes(size)}`)
    .join(', ');

function remedy(plan: RunPlan): string {
  const [most] = parts(plan).sort(([, a], [, b]) => b - a);
  if (most![0] !== 'kept activations' && most![0] !== 'logits')
    return 'train fewer parameters: lower adapter.r, target fewer layers, or train an adapter in place of weights';
  const batch = `a smaller train.batch (now ${plan.batch.tokens.toLocaleString('en-US')} tokens) with train.accumulate, or a smaller data.maxTokens`;
  return plan.recompute ? `use ${batch}` : `set train.recompute to true, or use ${batch}`;
}
