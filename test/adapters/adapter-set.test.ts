import { createDora, doraContribution } from '@glulam/adapter-dora';
import { createLora, loraContribution } from '@glulam/adapter-lora';
import {
  combineAdapters,
  createAdapterSet,
  openDecoder,
  openCheckpoint,
  packTokens,
  type Adapter,
  type AdapterSelection,
  type AdapterSet,
  type AdapterValues,
  type Decoder,
  type VirtualLayer,
} from '@glulam/model';
import { createNativeEngine } from '@glulam/engine-native';
import { createReferenceEngine, type Engine } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { difference, families, logitsAt, prompt, randomValues, root, tiny } from '../support/expanded.js';

// A base of a few small layers, expanded with a gate and a scale on its repeats.
const small = `${root}/fixtures/golden/mistral-base/base`;
const checkpoint = await openCheckpoint(small, families);
const n = checkpoint.spec.layers.length;
const layers: VirtualLayer[] = [
  ...Array.from({ length: n }, (_, physical) => ({ physical })),
  { physical: n - 1, gate: 'learned', residualScale: 0.7 },
  { physical: 0 },
];
const lora = (options: object) => createLora(loraContribution.schema.parse(options));
const dora = (options: object) => createDora(doraContribution.schema.parse(options));
/** Scales outputs by a trained vector, and adds a bias: (IA)^3 on all but its inputs. */
const scaling = (where: 'inScale' | 'outScale'): Adapter => ({
  kind: 'scaling',
  at: ({ inFeatures, outFeatures }) => {
    const size = where === 'inScale' ? inFeatures : outFeatures;
    return {
      parameters: [
        { name: 'scale', shape: [size], initial: () => new Float32Array(size).fill(1) },
        { name: 'bias', shape: [outFeatures], initial: () => new Float32Array(outFeatures) },
      ],
      form: ({ scale, bias }) => ({ [where]: scale!, bias: bias! }),
    };
  },
  peftConfig: () => ({}),
});
/** Has no form: adds what it makes of the layer's output itself. */
const applied: Adapter = {
  kind: 'applied',
  at: ({ linear }) =>
    linear === 'mlp.up_proj'
      ? {
          parameters: [{ name: 'share', shape: [1], initial: () => new Float32Array(1) }],
          form: () => ({}),
          apply: (x, { share }, { ops, linear: run }) => ops.add(run(x, {}), ops.mul(run(x, {}), share!)),
        }
      : undefined,
  peftConfig: () => ({}),
};

const adapters: Record<string, Adapter> = {
  a: lora({ r: 3, lora_alpha: 6 }),
  b: lora({ r: 2, lora_alpha: 1, target_modules: ['q_proj', 'down_proj'] }),
  dora: dora({ r: 2, lora_alpha: 2 }),
  out: scaling('outScale'),
  in: scaling('inScale'),
  applied,
};

/** As `randomValues`, but of another draw for each name. */
function valuesOf(name: string): AdapterValues {
  const turn = Object.keys(adapters).indexOf(name) + 1;
  return new Map(
    [...randomValues(checkpoint, layers, adapters[name]!)].map(([key, { shape, values }]) => {
      const center = /scale$|magnitude/.test(key) ? 1 : 0;
      return [
        key,
        { shape, values: values.map((value) => center + (value - center) * (turn % 2 === 0 ? -0.7 : 0.4 + turn / 5)) },
      ];
    }),
  );
}

async function fill(engine: Engine, names = Object.keys(adapters)): Promise<AdapterSet> {
  const set = createAdapterSet({ engine, checkpoint, layers });
  for (const name of names)
    await set.add(name, { adapter: adapters[name]!, layers, values: valuesOf(name), base: small });
  return set;
}

const ids = prompt(checkpoint.spec.vocabularySize);
const logitsOf = (decoder: Decoder): Promise<Float32Array> => logitsAt(decoder, packTokens([ids]), [0, 11, 23]);

const one = (name: string, weight = 1) => [{ name, weight }];

describe.each([
  ['reference', () => createReferenceEngine({ precision: 'float32' })],
  ['native', () => createNativeEngine({ threads: 2, precision: 'float32' })],
] as const)('on the %s engine', (_, open) => {
  test('switching there and back gives the same bits, each as the model with that adapter alone', async () => {
    const engine = open();
    const set = await fill(engine);
    const selections: AdapterSelection[] = [
      ...([one('a'), one('dora'), 'none', 'base'] as const),
      [
        { name: 'a', weight: 0.5 },
        { name: 'dora', weight: 2 },
      ],
    ];
    const first = [];
    for (const selection of selections) first.push(await logitsOf(await set.decoder(selection)));
    for (const [i, selection] of [...selections.entries()].reverse())
      expect(await logitsOf(await set.decoder(selection))).toEqual(first[i]);
    const alone = [
      { layers, adapter: adapters['a'], adapterValues: valuesOf('a') },
      { layers, adapter: adapters['dora'], adapterValues: valuesOf('dora') },
      { layers },
      {},
    ];
    for (const [i, options] of alone.entries()) {
      const decoder = await openDecoder({ engine, checkpoint, ...options });
      expect(first[i]).toEqual(await logitsOf(decoder));
      decoder.close();
    }
    // They are not all the same thing.
    expect(new Set(first.map((logits) => logits.join())).size).toBe(selections.length);
    set.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
    await engine.close();
  });

  test('weight 1 beside weight 0 is the adapter alone, weight 0 alone is none', async () => {
    const engine = open();
    const set = await fill(engine);
    const none = await logitsOf(await set.decoder('none'));
    expect(await logitsOf(await set.decoder([]))).toEqual(none);
    for (const name of Object.keys(adapters)) {
      const alone = await logitsOf(await set.decoder(one(name)));
      const other = name === 'a' ? 'b' : 'a';
      for (const parts of [
        [...one(name), ...one(other, 0)],
        [...one(other, 0), ...one(name)],
      ])
        expect(await logitsOf(await set.decoder(parts)), name).toEqual(alone);
      expect(await logitsOf(await set.decoder(one(name, 0))), name).toEqual(none);
      expect(alone).not.toEqual(none);
    }
    set.close();
    await engine.close();
  });
});

/** A decoder whose every linear layer computes W x + sum of w_i (f_i(x) - W x) as it is written. */
async function spelledOut(
  engine: Engine,
  parts: readonly { readonly name: string; readonly weight: number }[],
): Promise<Decoder> {
  const adapter: Adapter = {
    kind: 'spelled out',
    at(site) {
      const here = parts.map(({ name, weight }) => ({ name, weight, adapter: adapters[name]!.at(site) }));
      return {
        parameters: here.flatMap(({ name, adapter: each }) =>
          (each?.parameters ?? []).map((parameter) => ({ ...parameter, name: `${name}.${parameter.name}` })),
        ),
        form: () => ({}),
        apply(x, tensors, context) {
          const { ops, linear } = context;
          const plain = linear(x, {});
          return here.reduce((sum, { name, weight, adapter: each }) => {
            if (each === undefined) return sum;
            const own = Object.fromEntries(each.parameters.map((p) => [p.name, tensors[`${name}.${p.name}`]!]));
            const output = each.apply?.(x, own, context) ?? linear(x, each.form(own, context));
            return ops.add(sum, ops.affine(ops.sub(output, plain), weight, 0));
          }, plain);
        },
      };
    },
    peftConfig: () => ({}),
  };
  const values = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const { name, weight } of parts)
    for (const [key, { shape, values: data }] of valuesOf(name)) {
      const gate = key.endsWith('.gate');
      const place = gate ? key : key.replace(/_proj\./, `_proj.${name}.`);
      const before = gate ? (values.get(key)?.values[0] ?? 0) : 0;
      values.set(place, { shape, values: gate ? Float32Array.of(before + weight * data[0]!) : data });
    }
  return openDecoder({ engine, checkpoint, layers, adapter, adapterValues: values });
}

describe('weighted sums', () => {
  test.each([
    [[{ name: 'a', weight: 0.3 }]],
    [
      [
        { name: 'a', weight: 0.5 },
        { name: 'b', weight: -1.5 },
      ],
    ],
    [
      [
        { name: 'a', weight: 1 },
        { name: 'dora', weight: 1 },
      ],
    ],
    [
      [
        { name: 'dora', weight: 0.25 },
        { name: 'out', weight: 0.5 },
        { name: 'b', weight: 2 },
      ],
    ],
    [
      [
        { name: 'in', weight: 0.5 },
        { name: 'a', weight: 0.75 },
      ],
    ],
    [
      [
        { name: 'applied', weight: 0.5 },
        { name: 'dora', weight: 0.75 },
      ],
    ],
  ])('%j', async (parts) => {
    const engine = createReferenceEngine({ precision: 'float32' });
    const set = await fill(engine);
    const decoder = await spelledOut(engine, parts);
    expect(difference(await logitsOf(await set.decoder(parts)), await logitsOf(decoder))).toBeLessThan(1e-5);
    decoder.close();
    set.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('a scale of 0 is no division by 0', async () => {
    const engine = createReferenceEngine({ precision: 'float32' });
    const set = createAdapterSet({ engine, checkpoint, layers });
    const zeros = new Map(
      [...valuesOf('out')].map(([key, each]) => [
        key,
        key.endsWith('scale') ? { ...each, values: new Float32Array(each.values.length) } : each,
      ]),
    );
    await set.add('zero', { adapter: adapters['out']!, layers, values: zeros, base: small });
    await set.add('a', { adapter: adapters['a']!, layers, values: valuesOf('a'), base: small });
    // What is left of each layer is the low rank alone.
    const logits = await logitsOf(
      await set.decoder([
        { name: 'zero', weight: 1 },
        { name: 'a', weight: 0.5 },
      ]),
    );
    expect(logits.every(Number.isFinite)).toBe(true);
    set.close();
  });

  test('what no form says, and training, is refused', async () => {
    const engine = createReferenceEngine({ precision: 'float32' });
    const set = await fill(engine);
    const mixed = await set.decoder([
      { name: 'in', weight: 0.5 },
      { name: 'out', weight: 0.5 },
    ]);
    await expect(logitsOf(mixed)).rejects.toThrow(
      /at model.layers.0.self_attn.q_proj cannot be summed: one scales inputs/,
    );
    const out = adapters['out']!;
    const at: Adapter['at'] = (site) => {
      const here = out.at(site);
      return (
        here && {
          ...here,
          form: (own, context) => ({ ...here.form(own, context), biasScale: here.form(own, context).outScale }),
        }
      );
    };
    await set.add('bias', { adapter: { ...out, at }, layers, values: valuesOf('out'), base: small });
    const unbiased = await set.decoder([
      { name: 'applied', weight: 0.5 },
      { name: 'bias', weight: 0.5 },
    ]);
    await expect(logitsOf(unbiased)).rejects.toThrow(/cannot be summed: one scales the bias of the base/);
    const sum = await set.decoder([
      { name: 'a', weight: 0.5 },
      { name: 'b', weight: 0.5 },
    ]);
    await expect(sum.forward(packTokens([ids]), { training: { seed: 0, step: 0 } })).rejects.toThrow(/is not trained/);
    expect(() => combineAdapters([]).peftConfig([])).toThrow(expect.objectContaining({ code: 'ADAPTER_NOT_PEFT' }));
    set.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });
});

describe('a set', () => {
  test('holds each adapter once, and the base once', async () => {
    const engine = createReferenceEngine({ precision: 'float32' });
    let opened = 0;
    const counting: Engine = { ...engine, openWeight: async (source) => (opened++, await engine.openWeight(source)) };
    const set = await fill(counting, ['a', 'b']);
    const before = engine.memory().bytes;
    const weights = opened;
    const selections = [
      [
        { name: 'a', weight: 0.5 },
        { name: 'b', weight: 0.5 },
      ],
      [{ name: 'b', weight: 3 }],
      'none',
      'base',
    ] as const;
    for (const selection of selections) await logitsOf(await set.decoder(selection));
    expect(opened).toBe(weights);
    // Norms, and the gate of each.
    const norms = 4 * (2 * layers.length + 1) * checkpoint.spec.hiddenSize;
    expect(engine.memory().bytes - before).toBeLessThanOrEqual(selections.length * (norms + 4));
    expect(await set.decoder(selections[0])).toBe(await set.decoder(selections[0]));
    set.remove('a');
    expect(set.names).toEqual(['b']);
    await expect(() => set.decoder(one('a'))).rejects.toThrow(/no adapter "a"; loaded adapters: b/);
    await logitsOf(await set.decoder(one('b', 3)));
    set.close();
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('refuses what is not for it, with both named', async () => {
    const set = await fill(createReferenceEngine(), ['a']);
    const given = { adapter: adapters['b']!, layers, values: valuesOf('b'), base: 'some/base' };
    const refuse = async (change: object, message: RegExp) => {
      await expect(() => set.add('x', { ...given, ...change })).rejects.toThrow(
        expect.objectContaining({ code: 'ADAPTER_INVALID' }),
      );
      await expect(() => set.add('x', { ...given, ...change })).rejects.toThrow(message);
    };
    await refuse(
      { layers: undefined },
      /"x" of some\/base was trained on the layers \[\[0,\d\]\]; this model has \[\[0,\d\],\[\d,\d\],\[0,1\]\] \(\d with residualScale 0.7 and a gate\)/,
    );
    await refuse({ layers: layers.map(({ physical }) => ({ physical })) }, /this model has .*a gate/);
    const tinyCheckpoint = await openCheckpoint(tiny, families);
    const foreign = randomValues(
      { ...tinyCheckpoint, spec: { ...tinyCheckpoint.spec, layers: tinyCheckpoint.spec.layers.slice(0, n) } },
      layers,
      adapters['b']!,
    );
    await refuse({ values: foreign }, /"x" of some\/base does not fit .*mistral-base\/base: [^]*has shape/);
    await expect(() => set.add('a', given)).rejects.toThrow(/"a" already/);
    await expect(() => set.decoder(one('a', NaN))).rejects.toThrow(/weight of "a" is NaN/);
    await expect(() => set.decoder([...one('a'), ...one('a', 2)])).rejects.toThrow(/"a" is chosen twice/);
    const pissa = lora({ r: 2, init_lora_weights: 'pissa' });
    await set.add('pissa', { adapter: pissa, layers, values: randomValues(checkpoint, layers, pissa), base: small });
    await set.add('norms', { adapter: lora({ modules_to_save: ['input_layernorm'] }), layers, base: small });
    for (const name of ['pissa', 'norms']) {
      expect((await set.decoder(one(name))).layers).toEqual(layers);
      for (const selection of [one(name, 0.5), [...one('a'), ...one(name)]])
        await expect(() => set.decoder(selection)).rejects.toThrow(
          expect.objectContaining({ code: 'ADAPTER_INVALID' }),
        );
    }
    await expect(() => set.decoder(one('pissa', 2))).rejects.toThrow(
      /"pissa" keeps a part of .*lora_[AB].weight as it began/,
    );
    await expect(() => set.decoder(one('norms', 2))).rejects.toThrow(/"norms" has its own .*input_layernorm.weight/);
    set.close();
  });
});
