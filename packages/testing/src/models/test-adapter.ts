import {
  createFrozenRows,
  llamaLinears,
  wholeShape,
  type AdapterContribution,
  type BaseTensor,
  type LinearSite,
  type LlamaLinear,
} from '@glulam/model';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openSafetensors, sizeOf, writeSafetensors } from '@glulam/files';
import { createOperations, createReferenceEngine, createTape, normals, Tensor } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';

/** What `testAdapter` tries. */
export interface AdapterCases {
  /** Options, as a config gives them. */
  readonly options: readonly unknown[];
  /** `adapter_config.json` contents of other kinds: not this adapter's to read. */
  readonly foreign: readonly Readonly<Record<string, unknown>>[];
  /** Contents that say this kind but something it cannot follow, with a part of the message. */
  readonly refused: readonly { readonly config: Readonly<Record<string, unknown>>; readonly message: RegExp }[];
}

const site = (virtual: number, linear: LlamaLinear): LinearSite => ({
  virtual,
  physical: virtual % 4,
  use: Math.floor(virtual / 4),
  linear,
  index: llamaLinears.indexOf(linear),
  path: `model.layers.${virtual}.${linear}`,
  inFeatures: 12,
  outFeatures: 10,
  hasBias: true,
  writesResidual: linear === 'self_attn.o_proj' || linear === 'mlp.down_proj',
});

const sites = Array.from({ length: 8 }, (_, virtual) => llamaLinears.map((linear) => site(virtual, linear))).flat();

/** Weights and biases of a few linear layers, norms, and a pair of embedding and head. */
const tensors: readonly BaseTensor[] = [
  {
    name: 'model.embed_tokens.weight',
    source: 'model.embed_tokens.weight',
    shape: [9, 12],
    role: 'embedding',
    module: 'model.embed_tokens',
    kind: 'weight',
    virtual: undefined,
  },
  ...sites.flatMap((each): BaseTensor[] => {
    const { path, linear, virtual, physical, outFeatures, inFeatures } = each;
    const source = path.replace(String(virtual), String(physical));
    return [
      {
        name: `${path}.weight`,
        source: `${source}.weight`,
        shape: [outFeatures, inFeatures],
        role: 'linear',
        module: linear,
        kind: 'weight',
        virtual,
        site: each,
      },
      {
        name: `${path}.bias`,
        source: `${source}.bias`,
        shape: [outFeatures],
        role: 'linear',
        module: linear,
        kind: 'bias',
        virtual,
        site: each,
      },
    ];
  }),
  {
    name: 'model.norm.weight',
    source: 'model.norm.weight',
    shape: [12],
    role: 'finalNorm',
    module: 'model.norm',
    kind: 'weight',
    virtual: undefined,
  },
  {
    name: 'lm_head.weight',
    source: 'model.embed_tokens.weight',
    shape: [9, 12],
    role: 'head',
    module: 'lm_head',
    kind: 'weight',
    virtual: undefined,
  },
];

/** The contract of an adapter: a fresh one changes nothing, its form trains, its PEFT config comes back as its options. */
export function testAdapter(contribution: AdapterContribution, { options, foreign, refused }: AdapterCases): void {
  describe(`adapter ${contribution.kind}`, () => {
    test.each(options)(
      '%j: fresh values leave the layer as it is, repeat by seed, and take gradients',
      async (given) => {
        const adapter = contribution.create(contribution.schema.parse(given));
        const file = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-adapter-')), 'w.safetensors');
        await writeSafetensors(file, [
          { name: 'w', shape: [10, 12], dtype: 'float32', values: normals(120, [1, 2, 3, 4]) },
        ]);
        const engine = createReferenceEngine({ precision: 'float32' });
        const ops = createOperations(engine);
        const weight = await engine.openWeight(openSafetensors(file).source('w'));
        const frozen = createFrozenRows(engine).of(weight);
        const x = engine.upload(normals(60, [5, 6, 7, 8]), [5, 12]);
        let adapted = 0;
        for (const linear of llamaLinears) {
          const place = adapter.at(site(5, linear));
          expect(adapter.at(site(5, linear))?.parameters.map(({ name, shape }) => [name, shape])).toEqual(
            place?.parameters.map(({ name, shape }) => [name, shape]),
          );
          if (place === undefined) continue;
          adapted += 1;
          const first = await place.firstValues?.({ frozen });
          const tensors: Record<string, Tensor> = {};
          for (const [use, parameter] of place.parameters.entries()) {
            const { name, initial, fixed } = parameter;
            const draw = async () => {
              const known = first?.[name];
              if (known !== undefined || fixed !== undefined) return known;
              const made = initial({ key: [0, 0, 5, use], engine, frozen });
              return made instanceof Tensor ? ((await engine.read(made)) as Float32Array) : made;
            };
            const [values, again] = [await draw(), await draw()];
            expect(values?.length).toBe(sizeOf(wholeShape(parameter)));
            expect(again).toEqual(values);
            tensors[name] = engine.upload(values!, wholeShape(parameter));
          }
          const form = () => place.form(tensors, { ops, training: false, key: [0, 0, 5, 0], frozen });
          const bare = await engine.read(ops.frozenLinear(x, weight, {}, 'float32'));
          const fresh = await engine.read(ops.frozenLinear(x, weight, form(), 'float32'));
          fresh.forEach((value, i) => expect(Math.abs(value - bare[i]!)).toBeLessThan(1e-5));

          const tape = createTape(engine);
          for (const tensor of Object.values(tensors)) tape.watch(tensor);
          const y = ops.recording(tape, () => ops.sumAll(ops.frozenLinear(x, weight, form(), 'float32')));
          const gradients = await tape.backward(y);
          const norms = await Promise.all(
            [...gradients].map(async ([tensor, gradient]) => {
              expect(gradient.shape).toEqual(tensor.shape);
              return (await engine.read(gradient)).some((value) => value !== 0);
            }),
          );
          expect(norms).toContain(true);
        }
        const copies = adapter.copies?.(tensors).filter((choice) => choice !== undefined) ?? [];
        expect(adapted + copies.length).toBeGreaterThan(0);
      },
    );

    test.each(options)(
      '%j: copies of the model’s own tensors are chosen one by one, and never beside a form',
      (given) => {
        const adapter = contribution.create(contribution.schema.parse(given));
        const choices = adapter.copies?.(tensors) ?? tensors.map(() => undefined);
        expect(choices).toHaveLength(tensors.length);
        expect(adapter.copies?.(tensors) ?? choices).toEqual(choices);
        choices.forEach((choice, i) => {
          expect(['own', 'shared', 'follows', undefined]).toContain(choice);
          const { kind, site: at } = tensors[i]!;
          if (choice !== undefined && kind === 'weight' && at !== undefined) expect(adapter.at(at)).toBeUndefined();
        });
      },
    );

    const sayable = options.filter(
      (given) => contribution.create(contribution.schema.parse(given)).notPeft === undefined,
    );
    if (sayable.length > 0)
      test.each(sayable)('%j: the PEFT config gives the same adapter back', (given) => {
        const adapter = contribution.create(contribution.schema.parse(given));
        const config = JSON.parse(JSON.stringify(adapter.peftConfig(sites))) as Record<string, unknown>;
        const again = contribution.create(contribution.fromPeft(config));
        for (const virtual of [0, 5]) {
          for (const linear of llamaLinears) {
            const shapes = [adapter, again].map((each) =>
              each.at(site(virtual, linear))?.parameters.map((parameter) => [parameter.name, wholeShape(parameter)]),
            );
            expect(shapes[1]).toEqual(shapes[0]);
          }
        }
        expect(again.copies?.(tensors)).toEqual(adapter.copies?.(tensors));
      });

    test.each(foreign)('leaves %j to others', (config) => expect(contribution.fromPeft(config)).toBeUndefined());
    test.each(refused)('refuses $config', ({ config, message }) =>
      expect(() => contribution.fromPeft(config)).toThrow(message),
    );
  });
}
