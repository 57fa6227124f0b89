import {
  attentionOf,
  keyValueWidthOf,
  linearsOf,
  ModelError,
  normsOf,
  windowOf,
  type AttentionSpec,
  type CheckpointConfig,
  type Family,
  type ModelSpec,
} from '@glulam/model';
import { describe, expect, test } from 'vitest';

/** What `testFamily` tries. */
export interface FamilyCases {
  /** Fields of `config.json`, with what they must give. */
  readonly valid: readonly {
    readonly fields: Readonly<Record<string, unknown>>;
    /** Parts of the spec. */
    readonly spec?: Partial<Omit<ModelSpec, 'layers'>>;
    /** How many physical layers. */
    readonly layers?: number;
    /** Parts of every layer's attention. */
    readonly attention?: Partial<AttentionSpec>;
    /** The window of each layer, where they differ. */
    readonly windows?: readonly number[];
    /** Linear layers of the first layer that have a bias. */
    readonly biased?: readonly string[];
  }[];
  /** Groups of `fields` that must be read alike, such as today's style and the published one. */
  readonly alike: readonly (readonly Readonly<Record<string, unknown>>[])[];
  /** Fields that must be refused, with a part of the message for every fault. */
  readonly invalid: readonly {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly messages: readonly RegExp[];
  }[];
}

/** The contract of a family: `config.json` to a spec that the decoder can run, all faults reported together. */
export function testFamily(family: Family, { valid, alike, invalid }: FamilyCases): void {
  const config = (fields: Readonly<Record<string, unknown>>): CheckpointConfig => ({
    file: 'config.json',
    modelType: family.kind,
    fields: { model_type: family.kind, ...fields },
  });

  describe(`family ${family.kind}`, () => {
    test.each(valid)('reads a config', ({ fields, spec: expected, layers, attention, windows, biased }) => {
      const spec = family.describe(config(fields));
      if (expected !== undefined) expect(spec).toMatchObject(expected);
      if (layers !== undefined) expect(spec.layers).toHaveLength(layers);
      if (attention !== undefined) for (const layer of spec.layers) expect(attentionOf(layer)).toMatchObject(attention);
      if (windows !== undefined) expect(spec.layers.map(windowOf)).toEqual(windows);
      if (biased !== undefined)
        expect(
          linearsOf(spec.layers[0]!)
            .filter(({ bias }) => bias)
            .map(({ name }) => name),
        ).toEqual(biased);
      checkSpec(spec, family);
    });
    test.each(alike.map((group) => [group] as const))('reads different styles alike', (group) => {
      const specs = group.map((fields) => family.describe(config(fields)));
      for (const spec of specs) expect(spec).toEqual(specs[0]);
    });
    test.each(invalid)('refuses a config with every reason', ({ fields, messages }) => {
      const attempt = () => family.describe(config(fields));
      expect(attempt).toThrow(ModelError);
      for (const message of messages) expect(attempt).toThrow(message);
    });
  });
}

/** What must hold of any spec for the decoder, adapters and merging to work. */
function checkSpec(spec: ModelSpec, family: Family): void {
  const { hiddenSize, layers } = spec;
  const kinds = ['attention', 'mlp', ...Object.keys(family.blocks ?? {})];
  const isUnique = (names: readonly string[]): boolean => new Set(names).size === names.length;
  expect(layers.length).toBeGreaterThan(0);
  for (const layer of new Set(layers)) {
    const names = linearsOf(layer).map(({ name }) => name);
    const others = [
      ...normsOf(layer, hiddenSize).map(({ norm }) => norm.name),
      ...layer.blocks.flatMap(({ vectors = [] }) => vectors.map(({ name }) => name)),
    ];
    expect([...names, ...others]).toSatisfy(isUnique, 'names of linear layers, norms and vectors that differ');
    expect(layer.blocks.filter(({ keyValueWidth = 0 }) => keyValueWidth > 0).length).toBeLessThanOrEqual(1);
    for (const { kind, norm, outputNorm, linears, vectors = [], innerNorms = [] } of layer.blocks) {
      expect(norm ?? outputNorm, 'a norm before the block or after it').toBeDefined();
      expect(innerNorms.map(({ role }) => role)).toSatisfy(isUnique, 'roles of inner norms that differ');
      expect(kinds).toContain(kind);
      expect([...linears, ...vectors].map(({ role }) => role)).toSatisfy(isUnique, 'roles that differ within a block');
      const written = linears.filter(({ writesResidual }) => writesResidual);
      expect(written.length).toBeGreaterThan(0);
      for (const { outFeatures } of written) expect(outFeatures).toBe(hiddenSize);
    }
    const attention = attentionOf(layer);
    if (attention === undefined) continue;
    const { heads, keyValueHeads, headSize, rope } = attention;
    expect(heads % keyValueHeads).toBe(0);
    expect(keyValueWidthOf(layer)).toBe(keyValueHeads * headSize);
    if (rope === undefined) continue;
    expect(rope.dimensions % 2).toBe(0);
    expect(rope.dimensions).toBeLessThanOrEqual(headSize);
  }
}
