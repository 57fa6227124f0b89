import { adapters, type Adapter, type AdapterContribution } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({});
type NoOptions = z.infer<typeof schema>;

const contribution = (adapter: Adapter): AdapterContribution<NoOptions> => ({
  kind: adapter.kind,
  schema,
  create: () => adapter,
  fromPeft: () => undefined,
});

/**
 * The whole model is trained, in float32: each tensor of the base once, shared by all places where it is used (virtual
 * layers of one physical layer, a tied head), whose gradients are summed.
 */
export const fullContribution = contribution({
  kind: 'full',
  at: () => undefined,
  copies: (tensors) => tensors.map(() => 'shared'),
  peftConfig: () => ({}),
  notPeft: 'the whole model was trained, and PEFT’s files hold adapters: merge it into a plain checkpoint',
});

/** No adapter: learned gates and virtual layers with weights of their own are trained alone. */
export const noneContribution = contribution({
  kind: 'none',
  at: () => undefined,
  peftConfig: () => ({}),
  notPeft: 'there is no adapter that PEFT’s files could say: use the compact form or merge',
});

/** The plugin: the adapter kinds `full` and `none`. */
export const adapterFull = (): Plugin<Offer<'adapter', 'full' | 'none', NoOptions>> =>
  definePlugin({
    name: '@glulam/adapter-full',
    contract: 2,
    register(registry) {
      for (const each of [fullContribution, noneContribution]) registry.contribute(adapters, { create: () => each });
    },
  });
