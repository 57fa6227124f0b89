import { adapters, linearNamesOf, type AdapterContribution } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  targets: z
    .array(z.string())
    .min(1)
    .default(['self_attn.k_proj', 'self_attn.v_proj', 'mlp.up_proj'])
    .describe('The linear layers that get factors, by their paths below a layer.'),
});

/**
 * y = l * (W x): a trained factor for each output of some linear layers. Factors begin at 1, so a fresh adapter changes
 * nothing. (The simplest part of IA3, Liu et al. 2022.)
 */
export const myKindAdapter: AdapterContribution<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  // Which linear layers there are, the base says.
  faults({ targets }, spec) {
    const names = linearNamesOf(spec);
    const unknown = targets.filter((target) => !names.includes(target));
    if (unknown.length === 0) return [];
    return [`targets names ${unknown.join(', ')}; the linear layers of the base are ${names.join(', ')}`];
  },
  create: ({ targets }) => ({
    kind: 'my_kind',
    at({ linear, outFeatures }) {
      if (!targets.includes(linear)) return undefined;
      return {
        parameters: [{ name: 'factors', shape: [outFeatures], initial: () => new Float32Array(outFeatures).fill(1) }],
        // The form is all that an engine needs to run the layer, and a merge to fold it in.
        form: ({ factors }) => ({ outScale: factors! }),
      };
    },
    peftConfig: () => ({}),
    notPeft: 'PEFT has no adapter like my_kind: use the compact form, or merge',
  }),
  // Nothing that PEFT wrote is of this kind.
  fromPeft: () => undefined,
};

/** The plugin: the adapter kind `my_kind`. */
export const adapterMyKind = (): Plugin<Offer<'adapter', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-adapter-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(adapters, { create: () => myKindAdapter }),
  });

// What a config that names this package takes.
export default adapterMyKind;
