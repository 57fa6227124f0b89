import { createReferenceEngine, type Engine, type Tensor } from '@glulam/tensors';
import { expect } from 'vitest';
import {
  openDecoder,
  describeTrained,
  packTokens,
  type AdapterValues,
  type Decoder,
  type DecoderOptions,
  type PassOptions,
  type VirtualLayer,
} from '../src/index.js';
import type { NaiveModel } from './naive-decoder.js';
import { tinyAdapter } from './tiny-adapter.js';
import { drawn, tinyBase, type TinyBase } from './tiny-base.js';

// The reference is a decoder in plain float64 lists. A pass rounds to float32 (6e-8 of a value) some dozens of times in a
// row; gradients are compared with central differences, which are right to about 1e-9.
export const rounding = { value: 3e-6, gradient: 2e-6 };

export const sequences = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3]];

/** A layer that comes again with a scale and a gate, one whose weights are its own, and scales of single linear layers. */
export const expanded: readonly VirtualLayer[] = [
  { physical: 0 },
  { physical: 1, linearScales: { 'self_attn.q_proj': 0.5, 'self_attn.k_proj': -1.5, 'mlp.gate_proj': 0 } },
  { physical: 0, residualScale: 0.7, gate: 'learned' },
  { physical: 1, weights: 'own', linearScales: { 'mlp.up_proj': 2 } },
  { physical: 1, gate: 'learned', linearScales: { 'mlp.down_proj': -0.5, 'self_attn.o_proj': 1.25 } },
];

export const base = await tinyBase();

/** Values of everything that is trained, none of them at rest. */
export function trainedValues({ checkpoint }: TinyBase, layers: readonly VirtualLayer[]): AdapterValues {
  const { shapes } = describeTrained(checkpoint.spec, layers, tinyAdapter);
  return new Map(
    [...shapes].map(([name, shape], use) => {
      const size = shape.reduce((product, length) => product * length);
      return [name, { shape, values: drawn(size, 100 + use, 0.7) }];
    }),
  );
}

export interface Opened {
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly naive: NaiveModel;
}

export async function open(of: TinyBase, options: Partial<DecoderOptions> = {}): Promise<Opened> {
  const engine = createReferenceEngine();
  const decoder = await openDecoder({ engine, checkpoint: of.checkpoint, ...options });
  const { adapterValues } = options;
  const given = adapterValues === undefined || adapterValues === 'zeros' ? [] : [...adapterValues];
  const trained = new Map(given.map(([name, { values }]) => [name, [...values]]));
  const { spec } = of.checkpoint;
  return { engine, decoder, naive: { spec, layers: decoder.layers, base: of.values, trained } };
}

export const openExpanded = async (options: Partial<DecoderOptions> = {}): Promise<Opened> =>
  await open(base, {
    layers: expanded,
    adapter: tinyAdapter,
    adapterValues: trainedValues(base, expanded),
    ...options,
  });

export async function readAndRelease(engine: Engine, tensor: Tensor): Promise<number[]> {
  const values = [...(await engine.read(tensor))];
  tensor.release();
  return values;
}

export async function hiddenOf(
  { engine, decoder }: Opened,
  of: readonly number[][],
  pass?: PassOptions,
): Promise<number[]> {
  return readAndRelease(engine, await decoder.forward(packTokens(of), pass));
}

const largest = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

export function expectClose(got: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(expected.length);
  expect(largest(expected.map((value, i) => got[i]! - value))).toBeLessThan(tolerance * largest(expected));
}

/** Everything that the decoder made is gone. */
export async function end({ engine, decoder }: Opened): Promise<void> {
  decoder.close();
  expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  await engine.close();
}
