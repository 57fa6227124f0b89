// The name under which what was measured on a processor is kept: a new machine adds a page of its own.
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { instructionSets } from '@glulam/engine-native';

/** This machine's processor, as people name it: `AMD EPYC (family 25, model 17)`. */
export const processorModel = () =>
  describeModel(cpus()[0].model, existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '');

/** Of this machine, such as `amd-epyc-family-25-model-17-avx512-bf16`. */
export const processorName = () => processorSlug(processorModel(), instructionSets());

/**
 * Hypervisors shorten the names of models until they name no model; the processor's own numbers still tell them apart.
 *
 * @param {string} model
 * @param {string} cpuinfo what Linux says of the processors; empty elsewhere
 */
export function describeModel(model, cpuinfo) {
  const numbers = ['cpu family', 'model'].map((key) => new RegExp(`^${key}\\s*: (\\d+)$`, 'm').exec(cpuinfo)?.[1]);
  if (/\d/.test(model) || numbers.includes(undefined)) return model.trim();
  return `${model.trim()} (family ${numbers[0]}, model ${numbers[1]})`;
}

/**
 * @param {string} model as `describeModel` gives it
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
