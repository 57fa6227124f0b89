import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { doraContribution } from '@glulam/adapter-dora';
import { loraContribution } from '@glulam/adapter-lora';
import { createNativeEngine } from '@glulam/engine-native';
import { readMergekitLayers } from '@glulam/expansion-recipes';
import { readAdapter, writeAdapter } from '@glulam/export';
import { openSafetensors, readFloats } from '@glulam/files';
import {
  attentionOf,
  openDecoder,
  llamaLinears,
  openCheckpoint,
  openTokenizer,
  unexpandedLayers,
  type Checkpoint,
} from '@glulam/model';
import { createReferenceEngine } from '@glulam/tensors';
import { describeModel, readBaseLicence } from '@glulam/trainer';
import { loadConfig } from 'glulam';
import { expect, test } from 'vitest';
import { families, freshFolder, randomValues, root, tiny } from '../support/expanded.js';
import { mutateBytes, mutateSafetensors, mutateText, pick, type Random } from './mutate.js';
import { runFuzz } from './run-fuzz.js';

// Readers of what others wrote. Those of safetensors, data files and checkpoints of runs are fuzzed beside their code.
const hour = { timeout: 3_600_000 };
const golden = path.join(root, 'fixtures/golden/mistral-expanded-lora');
const small = path.join(root, 'fixtures/pissa/lora');
const kinds = [loraContribution, doraContribution];

/** A copy of a folder one file of which is damaged; the good content is put back after each input. */
function damagedFile(from: string, name: string) {
  const folder = path.join(freshFolder(), 'copy');
  cpSync(from, folder, { recursive: true });
  const file = path.join(folder, name);
  const good = readFileSync(file);
  const damage = (random: Random): void => {
    if (name.endsWith('.safetensors')) writeFileSync(file, mutateSafetensors(good, random));
    else if (random(4) === 0) writeFileSync(file, mutateBytes(good, random));
    else writeFileSync(file, mutateText(good.toString(), random));
  };
  return { folder, file, damage };
}

test('config.json of a base', hour, async () => {
  for (const style of ['config.json', 'config.published.json']) {
    const { folder, file } = damagedFile(path.join(golden, 'base'), 'config.json');
    const good = readFileSync(path.join(golden, 'base', style), 'utf8');
    await runFuzz(`base ${style}`, {
      codes: ['CONFIG_INVALID', 'CHECKPOINT_INVALID', 'MODEL_TYPE_UNKNOWN', 'QUANTIZED_UNSUPPORTED'],
      async attempt(random) {
        writeFileSync(file, random(4) === 0 ? mutateBytes(Buffer.from(good), random) : mutateText(good, random));
        const { spec } = await openCheckpoint(folder, families);
        const { heads, headSize, rope } = attentionOf(spec.layers[0]!)!;
        for (const value of [heads, headSize, spec.finalNorm.epsilon, rope!.settings.theta])
          expect(value).toBeGreaterThan(0);
      },
    });
  }
});

test('weights that an engine maps: no byte beyond the file is read', hour, async () => {
  const { file, damage } = damagedFile(path.join(small, 'adapter'), 'adapter_model.safetensors');
  await runFuzz('mapped weights', {
    codes: ['SAFETENSORS_INVALID', 'DTYPE_MISMATCH', 'SHAPE_MISMATCH'],
    async attempt(random) {
      // A file of its own: one that is mapped is not written to.
      rmSync(file, { force: true });
      damage(random);
      const files = openSafetensors(file);
      const names = files.names();
      const engine = createNativeEngine({ precision: 'float32', threads: 1 });
      try {
        // The end of the file above all: a page beyond it would end the process.
        for (const name of [pick(random, names), names.at(-1)!]) {
          const source = files.source(name);
          const weight = await engine.openWeight(source);
          if (source.shape.length !== 2 || source.shape[0] === 0) continue;
          expect(await engine.read(engine.readWeight(weight, 0, source.shape[0]!))).toEqual(readFloats(source));
        }
      } finally {
        await engine.close();
      }
    },
  });
});

const adapterCodes = [
  'ADAPTER_INVALID',
  'EXPANSION_INVALID',
  'SAFETENSORS_INVALID',
  'DTYPE_MISMATCH',
  'ADAPTER_NOT_PEFT',
  'WEIGHT_NOT_FINITE',
];

test('adapter folders of PEFT, the config and the tensors', hour, async () => {
  const checkpoint = await openCheckpoint(path.join(small, 'base'), families);
  for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
    const { folder, damage } = damagedFile(path.join(small, 'adapter'), name);
    await runFuzz(`PEFT ${name}`, {
      codes: adapterCodes,
      attempt(random) {
        damage(random);
        return open(folder, checkpoint);
      },
    });
  }
});

test('the compact form, the description and the tensors', hour, async () => {
  const checkpoint = await openCheckpoint(path.join(small, 'base'), families);
  const layers = [0, 1, 1].map((physical, i) =>
    i === 2 ? { physical, gate: 'learned' as const, residualScale: 0.5 } : { physical },
  );
  const options = loraContribution.schema.parse({
    r: { first: 1, repeats: 2 },
    init_lora_weights: 'pissa',
    alpha_pattern: { q_proj: 3 },
  });
  const adapter = loraContribution.create(options);
  const adapterValues = randomValues(checkpoint, layers, adapter);
  const decoder = await openDecoder({ engine: createReferenceEngine(), checkpoint, layers, adapter, adapterValues });
  const written = path.join(freshFolder(), 'adapter');
  await writeAdapter(decoder, written, { base: 'base', adapter: { kind: 'lora', options } });
  for (const name of ['glulam.json', 'adapter_model.safetensors']) {
    const { folder, damage } = damagedFile(written, name);
    await runFuzz(`compact ${name}`, {
      codes: adapterCodes,
      attempt(random) {
        damage(random);
        return open(folder, checkpoint);
      },
    });
  }
});

async function open(folder: string, checkpoint: Checkpoint): Promise<void> {
  const { spec } = checkpoint;
  const saved = readAdapter(folder, kinds, spec);
  const layers = saved.layers ?? unexpandedLayers(spec.layers.length);
  // As plans do: everything is checked and nothing is computed.
  const decoder = await openDecoder({
    engine: createReferenceEngine(),
    checkpoint,
    layers,
    adapter: saved.adapter,
    adapterValues: saved.values,
  });
  decoder.adapter?.peftConfig(decoder.sites);
  decoder.close();
}

test('mergekit’s YAML', hour, async () => {
  const good = [
    'slices:',
    ...[
      [0, 4],
      [2, 6],
    ].map(
      ([a, b]) =>
        `- sources:\n  - model: "some/model"\n    layer_range: [${a}, ${b}]\n    parameters: {scale: [{filter: o_proj, value: 0.5}, {filter: down_proj, value: 0.5}, {value: 1.0}]}`,
    ),
    'merge_method: passthrough',
    'dtype: bfloat16',
  ].join('\n');
  const odd = [
    '&a',
    '*a',
    '!!binary',
    '---',
    '? ',
    '|',
    '>-',
    '0x7fffffffffffffff',
    '.inf',
    '.nan',
    '~',
    'yes',
    '[]',
    '{}',
    '- ',
    ': ',
    '<<: *a',
    '1e400',
    '-1',
    '10001',
    '"',
    "'",
  ];
  await runFuzz('mergekit', {
    codes: ['EXPANSION_INVALID'],
    attempt(random) {
      const text = random(4) === 0 ? mutateBytes(Buffer.from(good), random).toString() : mutateText(good, random, odd);
      const layers = readMergekitLayers(text, 'merge.yaml', 8, llamaLinears);
      expect(layers.length).toBeGreaterThan(0);
      for (const { physical } of layers) expect(physical).toBeGreaterThanOrEqual(0);
    },
  });
});

test('tokenizer files and chat templates', hour, async () => {
  // A vocabulary of a size that is read in no time.
  const whole = JSON.parse(readFileSync(path.join(tiny, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number>; merges: unknown[] };
  };
  const vocab = Object.entries(whole.model.vocab).filter(([, id]) => id < 300);
  const small = JSON.stringify({ ...whole, model: { ...whole.model, vocab: Object.fromEntries(vocab), merges: [] } });
  const from = path.join(freshFolder(), 'tokenizer');
  cpSync(tiny, from, { recursive: true, filter: (name) => !name.endsWith('.safetensors') });
  writeFileSync(path.join(from, 'tokenizer.json'), small);
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'And?' },
  ];
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    const { folder, damage } = damagedFile(from, name);
    await runFuzz(name, {
      codes: [
        'TOKENIZER_INVALID',
        'TOKENIZER_UNSUPPORTED',
        'TOKENIZER_MISMATCH',
        'CHAT_TEMPLATE_FAILED',
        'TEMPLATE_LIMIT',
      ],
      attempt(random) {
        damage(random);
        const tokenizer = openTokenizer(folder, { vocabularySize: 1024 });
        const ids = tokenizer.encode('Hello </s> wörld');
        expect(ids.every((id) => Number.isInteger(id))).toBe(true);
        expect(typeof tokenizer.decode(ids)).toBe('string');
        tokenizer.chatTemplate?.check();
      },
    });
  }
  const template = openTokenizer(from).chatTemplate!.source;
  const odd = [
    '{%',
    '%}',
    '{{',
    '}}',
    'loop.index0',
    'namespace(x=1)',
    'messages',
    '| tojson',
    '| default',
    '[::-1]',
    'range(10)',
    'is defined',
    'not',
    '"',
    '{#',
    'raise_exception("x")',
    'none',
    '- 1',
  ];
  await runFuzz('chat template', {
    codes: ['CHAT_TEMPLATE_FAILED', 'TEMPLATE_LIMIT'],
    attempt(random) {
      const { chatTemplate } = openTokenizerOnce(from, mutateText(template, random, odd));
      expect(typeof chatTemplate!.render(messages)).toBe('string');
      chatTemplate!.renderLearnt(messages);
    },
  });
});

const openTokenizerOnce = (folder: string, chatTemplate: string) => openTokenizer(folder, { chatTemplate });

test('a run’s config, and what it makes of a base', hour, async () => {
  const { config: checkpointConfig, spec } = await openCheckpoint(path.join(small, 'base'), families);
  const good = {
    base: checkpointConfig.file.replace(/config\.json$/, ''),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 2],
        [1, 2],
      ],
    },
    adapter: {
      kind: 'dora',
      r: { first: 0, repeats: 4 },
      target_modules: ['q_proj', 'down_proj'],
      rank_pattern: { q_proj: 2 },
    },
    data: { train: [{ file: 'a.jsonl', format: { kind: 'sharegpt' }, weight: 2 }], heldOut: 0.1 },
    train: { steps: 3, batch: { tokens: 512 } },
    evaluate: { evaluators: [{ kind: 'loss' }], every: 1 },
  };
  const yaml = [
    `base: ${good.base}`,
    'expansion:',
    '  kind: layer_map',
    '  layer_map:',
    '    - [0, 2]',
    '    - - 1',
    '      - 2',
    'adapter:',
    '  kind: dora',
    '  r: {first: 0, repeats: 4}',
    '  target_modules:',
    '  - q_proj',
    '  - down_proj',
    'data:',
    '  train: >-',
    '    a.jsonl',
  ].join('\n');
  const folder = freshFolder();
  const codes = ['CONFIG_UNREADABLE', 'CONFIG_INVALID', 'EXPANSION_INVALID', 'ADAPTER_INVALID', 'PLUGIN_UNLOADABLE'];
  const odd = [
    '&a',
    '*a',
    '!!binary',
    '---',
    '? ',
    '|',
    '>-',
    '.inf',
    '- ',
    ': ',
    '<<: *a',
    '10001',
    '1e400',
    'kind',
    'recipes',
    'llama_pro',
    'repeat_yourself',
    'weights: own',
    'null',
    '[]',
    '{}',
    '"__proto__"',
  ];
  for (const [name, text] of [
    ['config.json', JSON.stringify(good)],
    ['config.yaml', yaml],
  ] as const) {
    const file = path.join(folder, name);
    await runFuzz(name, {
      codes,
      async attempt(random) {
        writeFileSync(
          file,
          random(4) === 0
            ? mutateBytes(Buffer.from(text), random)
            : mutateText(text, random, random(2) === 0 ? odd : undefined),
        );
        const { config, composition } = await loadConfig(file);
        const { layers } = describeModel(config, composition, spec);
        expect(layers.every(({ physical }) => physical < spec.layers.length)).toBe(true);
      },
    });
  }
});

test('the card of a base', hour, async () => {
  const folder = freshFolder();
  const good = '---\nlicense: other\nlicense_name: llama2\nlicense_link: >-\n  LICENSE.txt\ntags: [a, b]\n---\n# Card';
  await runFuzz('card', {
    codes: ['none'],
    attempt(random) {
      writeFileSync(
        path.join(folder, 'README.md'),
        random(4) === 0 ? mutateBytes(Buffer.from(good), random) : mutateText(good, random),
      );
      const { license } = readBaseLicence(folder);
      // Nothing of a card is refused: what is no licence counts as none.
      if (license === undefined) throw Object.assign(new Error('none'), { name: 'TrainerError', code: 'none' });
    },
  });
});
