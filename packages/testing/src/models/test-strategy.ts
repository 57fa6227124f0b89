import {
  checkVirtualLayers,
  llamaLinears,
  ModelError,
  readLlamaSpec,
  type ExpansionStrategy,
  type ModelSpec,
} from '@glulam/model';
import { describe, expect, test } from 'vitest';

/** What `testStrategy` tries. */
export interface StrategyCases {
  /** Options that work for a base of so many layers, with the physical indices expected. */
  readonly valid: readonly {
    readonly physicalLayers: number;
    readonly options: unknown;
    readonly physical: readonly number[];
  }[];
  /** Options that the schema or `expand` must refuse, with a part of the message. */
  readonly invalid: readonly { readonly physicalLayers: number; readonly options: unknown; readonly message: RegExp }[];
}

/** The contract of an expansion strategy: pure, within the base, and clear about what it refuses. */
export function testStrategy(strategy: ExpansionStrategy, { valid, invalid }: StrategyCases): void {
  describe(`strategy ${strategy.kind}`, () => {
    test.each(valid)('$options on $physicalLayers layers', ({ physicalLayers, options, physical }) => {
      const parsed = strategy.schema.parse(options);
      const before = JSON.stringify(parsed);
      const layers = strategy.expand(physicalLayers, parsed, llamaLinears);
      expect(layers.map((layer) => layer.physical)).toEqual(physical);
      expect(checkVirtualLayers(layers, baseOf(physicalLayers))).toBe(layers);
      expect(strategy.expand(physicalLayers, parsed, llamaLinears)).toEqual(layers);
      expect(JSON.stringify(parsed)).toBe(before);
      // Records are written into run folders and adapters: they survive JSON.
      expect(JSON.parse(JSON.stringify(layers))).toEqual(layers);
    });
    test.each(invalid)('refuses $options on $physicalLayers layers', ({ physicalLayers, options, message }) => {
      const parsed = strategy.schema.safeParse(options);
      if (!parsed.success) {
        expect(parsed.error.message).toMatch(message);
        return;
      }
      const attempt = () => strategy.expand(physicalLayers, parsed.data, llamaLinears);
      expect(attempt).toThrow(ModelError);
      expect(attempt).toThrow(message);
    });
  });
}

/** A small base in the Llama layout. */
function baseOf(physicalLayers: number): ModelSpec {
  const fields = { num_hidden_layers: physicalLayers, hidden_size: 4, num_attention_heads: 1, intermediate_size: 4 };
  const config = { file: 'config.json', modelType: 'tiny', fields: { ...fields, vocab_size: 4 } };
  return readLlamaSpec(config, () => ({ maxPositions: 4, slidingWindow: 0, biased: [] }));
}
