import { createReferenceEngine } from '@glulam/tensors';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { tinyAdapter } from '../../test/tiny-adapter.js';
import { base, end, expanded, hiddenOf, open, sequences, trainedValues, type Opened } from '../../test/tiny-decoder.js';
import type { Adapter, AdapterParameter } from '../adapters/adapter.js';
import type { DecoderOptions } from './decoder.js';
import { openDecoder } from './open-decoder.js';

describe('what cannot be', () => {
  const name = 'model.layers.0.self_attn.q_proj.A';
  const changed = (change: (values: Map<string, { shape: readonly number[]; values: Float32Array }>) => void) => () => {
    const values = new Map(trainedValues(base, expanded));
    change(values);
    return { layers: expanded, adapter: tinyAdapter, adapterValues: values };
  };

  test.each<[string, () => Partial<DecoderOptions>, string, RegExp]>([
    ['no layers', () => ({ layers: [] }), 'EXPANSION_INVALID', /no layers at all/],
    ['a layer beyond the base', () => ({ layers: [{ physical: 2 }] }), 'EXPANSION_INVALID', /names physical layer 2/],
    [
      'a scale that is no number',
      () => ({ layers: [{ physical: 0, residualScale: NaN }] }),
      'EXPANSION_INVALID',
      /residualScale NaN/,
    ],
    [
      'values of another shape',
      changed((values) => values.set(name, { shape: [3, 8], values: new Float32Array(24) })),
      'ADAPTER_INVALID',
      /q_proj\.A has shape \[3, 8\]; this model needs \[2, 8\]/,
    ],
    ['values that are missing', changed((values) => values.delete(name)), 'ADAPTER_INVALID', /q_proj\.A is missing/],
    [
      'values of no layer',
      changed((values) => values.set('model.layers.9.gate', { shape: [1], values: new Float32Array(1) })),
      'ADAPTER_INVALID',
      /layers\.9\.gate belongs to no adapted layer/,
    ],
    [
      'no adapter for values',
      () => ({ adapterValues: trainedValues(base, expanded) }),
      'ADAPTER_INVALID',
      /belongs to/,
    ],
  ])('%s: refused, and nothing stays', async (_, options, code, message) => {
    const engine = createReferenceEngine();
    const make = () => openDecoder({ engine, checkpoint: base.checkpoint, ...options() });
    await expect(make).rejects.toThrow(expect.objectContaining({ code }));
    await expect(make).rejects.toThrow(message);
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });

  test('an adapter that looks into the base for its first values is asked for them', async () => {
    const engine = createReferenceEngine();
    const fixed = { axis: 0, size: 1, group: 'some' } as const;
    const adapter: typeof tinyAdapter = {
      ...tinyAdapter,
      at: ({ inFeatures }) => ({
        parameters: [{ name: 'A', shape: [1, inFeatures], fixed, initial: () => new Float32Array(inFeatures) }],
        form: () => ({}),
      }),
    };
    const make = () => openDecoder({ engine, checkpoint: base.checkpoint, adapter });
    await expect(make).rejects.toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    await expect(make).rejects.toThrow(/q_proj\.A begins as a part of the base: pass what readFirstValues returns/);
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });
});

describe('openDecoder', () => {
  afterEach(() => void vi.useRealTimers());

  /** Every first value takes 60 ms, which is longer than the event loop may be blocked. */
  const slowly = (onValue: () => void): Adapter => ({
    ...tinyAdapter,
    at(site) {
      const adapter = tinyAdapter.at(site);
      const slow = (parameter: AdapterParameter): AdapterParameter => ({
        ...parameter,
        initial(context) {
          vi.advanceTimersByTime(60);
          onValue();
          return parameter.initial(context);
        },
      });
      return adapter && { ...adapter, parameters: adapter.parameters.map(slow) };
    },
  });

  test('makes what openDecoder makes, and lets others have their turn meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const engine = createReferenceEngine();
    const options = { checkpoint: base.checkpoint, layers: expanded, seed: 5 };
    let turns = 0;
    const turnsAtValue: number[] = [];
    const count = (): void => {
      turns += 1;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    const adapter = slowly(() => void turnsAtValue.push(turns));
    const decoder = await openDecoder({ engine, ...options, adapter });
    clearImmediate(immediate);
    // All values of a linear layer are made at once.
    expect(new Set(turnsAtValue).size).toBeGreaterThan(expanded.length);
    const opened: Opened = { engine, decoder, naive: undefined! };
    const expected = await open(base, { ...options, adapter: tinyAdapter });
    expect(await hiddenOf(opened, sequences)).toEqual(await hiddenOf(expected, sequences));
    await end(opened);
    await end(expected);
  });

  test('is given up by its signal, and nothing stays', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const engine = createReferenceEngine();
    const reason = new Error('not wanted');
    const controller = new AbortController();
    let values = 0;
    const adapter = slowly(() => {
      values += 1;
      if (values === 5) controller.abort(reason);
    });
    const { signal } = controller;
    await expect(openDecoder({ engine, checkpoint: base.checkpoint, layers: expanded, adapter, signal })).rejects.toBe(
      reason,
    );
    expect(values).toBeGreaterThanOrEqual(5);
    expect(values).toBeLessThan(10);
    expect(engine.memory()).toEqual({ tensors: 0, bytes: 0 });
  });
});
