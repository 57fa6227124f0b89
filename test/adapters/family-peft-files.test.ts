import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loraContribution } from '@glulam/adapter-lora';
import { readPeftAdapter, writePeftAdapter } from '@glulam/export';
import { openSafetensors, readFloats } from '@glulam/files';
import { openCheckpoint, openDecoder } from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { expect, test } from 'vitest';
import { freshFolder, root } from '../support/expanded.js';
import { adaptedFamilyCases, families } from '../support/families.js';

const fieldsOf = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path.join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;

test.each(adaptedFamilyCases)('%s: what PEFT wrote is written again as it is', async (name) => {
  const folder = path.join(root, 'fixtures/golden', name);
  const checkpoint = await openCheckpoint(path.join(folder, 'base'), families);
  const theirs = path.join(folder, 'adapter');
  const { adapter, layers, values } = readPeftAdapter(theirs, [loraContribution], checkpoint.spec);
  const engine = createReferenceEngine({ precision: 'float32' });
  const decoder = await openDecoder({ engine, checkpoint, adapter, layers, adapterValues: values });
  const ours = path.join(freshFolder(), 'adapter');
  await writePeftAdapter(decoder, ours, 'base');
  decoder.close();
  const [got, expected] = [ours, theirs].map((each) => openSafetensors(path.join(each, 'adapter_model.safetensors')));
  expect([...got!.names()].sort()).toEqual([...expected!.names()].sort());
  for (const tensor of expected!.names())
    expect(readFloats(got!.source(tensor)), tensor).toEqual(readFloats(expected!.source(tensor)));
  const [config, peft] = [fieldsOf(ours), fieldsOf(theirs)];
  for (const key of ['peft_type', 'r', 'lora_alpha', 'layer_replication']) expect(config[key], key).toEqual(peft[key]);
  expect(new Set(config['target_modules'] as string[])).toEqual(new Set(peft['target_modules'] as string[]));
});
