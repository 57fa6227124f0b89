// The name under which what was measured on a processor is kept: a new machine adds a page of its own.
import { cpus } from 'node:os';
import { instructionSets } from '@glulam/engine-native';

/** Of this machine, such as `amd-epyc-avx512-bf16`. */
export const processorName = () => processorSlug(cpus()[0].model, instructionSets());

/**
 * Hypervisors shorten the names of models, so the name has the widest instruction set too.
 *
 * @param {string} model
 * @param {readonly string[]} isas widest first
 */
export function processorSlug(model, isas) {
  const plain = model.replaceAll(/\((R|TM)\)|@.*$|\b(CPU|Processor)\b/gi, ' ');
  const widest = isas.find((isa) => /bf/.test(isa)) ?? isas[0];
  return `${plain} ${widest}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}
