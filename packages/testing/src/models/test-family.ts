import { ModelError, type CheckpointConfig, type DecoderShape, type Family } from '@glulam/model';
import { describe, expect, test } from 'vitest';

/** What `testFamily` tries. */
export interface FamilyCases {
  /** Fields of `config.json`, with parts of the shape they must give. */
  readonly valid: readonly {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly shape: Partial<DecoderShape>;
  }[];
  /** Groups of `fields` that must be read alike, such as today's style and the published one. */
  readonly alike: readonly (readonly Readonly<Record<string, unknown>>[])[];
  /** Fields that must be refused, with a part of the message for every fault. */
  readonly invalid: readonly {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly messages: readonly RegExp[];
  }[];
}

/** The contract of a family: `config.json` to a shape that the decoder can run, all faults told together. */
export function testFamily(family: Family, { valid, alike, invalid }: FamilyCases): void {
  const config = (fields: Readonly<Record<string, unknown>>): CheckpointConfig => ({
    file: 'config.json',
    modelType: family.kind,
    fields: { model_type: family.kind, ...fields },
  });
  const plain = (shape: DecoderShape) => ({ ...shape, names: { ...shape.names, layer: shape.names.layer(3) } });

  describe(`family ${family.kind}`, () => {
    test.each(valid)('reads a config', ({ fields, shape }) => {
      const described = family.describe(config(fields));
      expect(described).toMatchObject(shape);
      expect(described.heads % described.keyValueHeads).toBe(0);
      expect(described.headSize % 2).toBe(0);
      if (typeof described.slidingWindow !== 'number')
        expect(described.slidingWindow).toHaveLength(described.physicalLayers);
      expect(new Set([0, 1, 2].map((index) => described.names.layer(index))).size).toBe(3);
    });
    test.each(alike.map((group) => [group] as const))('reads different styles alike', (group) => {
      const shapes = group.map((fields) => plain(family.describe(config(fields))));
      for (const shape of shapes) expect(shape).toEqual(shapes[0]);
    });
    test.each(invalid)('refuses a config with every reason', ({ fields, messages }) => {
      const attempt = () => family.describe(config(fields));
      expect(attempt).toThrow(ModelError);
      for (const message of messages) expect(attempt).toThrow(message);
    });
  });
}
