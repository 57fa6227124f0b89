import {
  checkpointReaders,
  packTokens,
  strategies,
  type CheckpointReader,
  type ExpansionStrategy,
} from '@glulam/model';
import { definePlugin } from '@glulam/plugin';
import { bindModel, describeModel, events as eventsToken, openBase, train, type RunEvent } from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { logitsAt } from '../support/expanded.js';
import { eventsOf, tinyRun } from '../support/tiny.js';

const train2 = { train: { steps: 2, batch: 2, learningRate: 1e-3 }, checkpoint: { every: 1 } };

test('every event of a run has its id, the same after it was resumed; its first one has the plan', async () => {
  const { config, composition, out } = tinyRun(train2);
  const told: RunEvent[] = [];
  const events = composition.get(eventsToken);
  events.listen('test', (stream) => stream.pipe(tap((event) => void told.push(event))));
  const stop = new AbortController();
  events.listen('stop', (stream) =>
    stream.pipe(tap(({ type }) => type === 'step.finished' && events.request('stop', 'enough'))),
  );
  expect(await train(config, composition, { signal: stop.signal })).toMatchObject({ steps: 1, stopped: 'enough' });
  const first = told.splice(0);
  const [id] = new Set(first.map(({ run }) => run));
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(first.every(({ run }) => run === id)).toBe(true);
  const started = first.find((event) => event.type === 'run.started');
  expect(started?.plan).toMatchObject({ family: 'mistral', physicalLayers: 8, verdict: 'fits' });
  expect(started?.plan?.parameters.trainable).toBe(started?.trainableParameters);

  await train(config, composition, { resume: true });
  expect(told.length).toBeGreaterThan(3);
  expect(told.every(({ run }) => run === id)).toBe(true);
  expect(new Set(eventsOf(out).map(({ run }) => run))).toEqual(new Set([id]));

  // Another run of the same composition is another one, and what is emitted between them is of none.
  events.emit({ type: 'warning', time: 0, message: 'between' });
  expect(told.at(-1)).toEqual({ type: 'warning', time: 0, message: 'between' });
  await train({ ...config, out: `${out}-2` }, composition, {});
  expect(told.at(-1)!.run).toMatch(/^[0-9a-f-]{36}$/);
  expect(told.at(-1)!.run).not.toBe(id);
});

test('a run looks through its base once, and asks for its layers once', async () => {
  const counts = { opened: 0, expanded: 0 };
  const reader: CheckpointReader = {
    kind: 'counting',
    claims() {
      counts.opened += 1;
      return false;
    },
    open: () => Promise.reject(new Error('it claims nothing')),
  };
  const strategy: ExpansionStrategy = {
    kind: 'counted',
    schema: z.strictObject({}),
    expand(layers) {
      counts.expanded += 1;
      return Array.from({ length: layers }, (_, physical) => ({ physical }));
    },
  };
  const plugin = definePlugin({
    name: 'glulam-plugin-counted',
    contract: 2,
    register(registry) {
      registry.contribute(strategies, { create: () => strategy });
      registry.contribute(checkpointReaders, { create: () => reader });
    },
  });
  const { config } = tinyRun(train2);
  const { composition } = resolveConfig({ ...config, expansion: { kind: 'counted' } }, [plugin], '/');
  await train({ ...config, expansion: { kind: 'counted' } }, composition);
  expect(counts).toEqual({ opened: 1, expanded: 1 });
});

test('several models are bound to one base, each with its own layers', async () => {
  const { config, composition } = tinyRun();
  const base = await openBase(config, composition);
  const batch = packTokens([[1, 5, 9]]);
  const described = describeModel(config, composition, base.checkpoint.spec);
  const expanded = await bindModel(base, described, { seed: 1 });
  const bare = await bindModel(base, { adapter: undefined });
  expect([expanded.layers.length, bare.layers.length]).toEqual([12, 8]);
  const alone = await logitsAt(bare, batch);
  expanded.close();
  expect(await logitsAt(bare, batch)).toEqual(alone);
  bare.close();
  await base.close();
});
