import type { LinearForm, Tensor } from '@glulam/tensors';

/**
 * The forms of a decoder's adapted layers, kept over several passes: what they are made of does not change while text is
 * generated. Of one decoder, and only for as long as nothing trains it.
 */
export interface PreparedForms {
  /** The form of a linear layer of a virtual layer, where one was kept. */
  get(virtual: number, linear: string): LinearForm | undefined;
  /** Keep a form for later passes; its tensors are held until `close`. */
  keep(virtual: number, linear: string, form: LinearForm): void;
  /** Release all of them. */
  close(): void;
}

/** None yet: a pass that is given them makes those that it needs. */
export function createPreparedForms(): PreparedForms {
  const layers = new Map<number, Map<string, LinearForm>>();
  return {
    get: (virtual, linear) => layers.get(virtual)?.get(linear),
    keep(virtual, linear, form) {
      for (const tensor of tensorsOf(form)) tensor.retain();
      const forms = layers.get(virtual) ?? new Map<string, LinearForm>();
      layers.set(virtual, forms.set(linear, form));
    },
    close() {
      for (const forms of layers.values())
        for (const form of forms.values()) for (const tensor of tensorsOf(form)) tensor.release();
      layers.clear();
    },
  };
}

function tensorsOf({ inScale, outScale, lowRank, bias }: LinearForm): Tensor[] {
  return [inScale, outScale, lowRank?.A, lowRank?.B, bias].filter((tensor) => tensor !== undefined);
}
