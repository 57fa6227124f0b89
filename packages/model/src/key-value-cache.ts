import { detach, scope, type Engine, type LinearForm, type Segment, type Tensor } from '@glulam/tensors';
import { ModelError } from './errors.js';

/**
 * Keys and values of the tokens seen so far, for each virtual layer and each sequence: two tensors
 * [sequences * capacity, keyValueHeads * headSize] a virtual layer.
 */
export interface KeyValueCache {
  /** Tokens seen, by sequence. */
  readonly lengths: readonly number[];
  readonly capacity: number;
  /** Write a layer's new rows behind the sequence's earlier ones; the i-th segment belongs to the i-th sequence. */
  append(
    virtual: number,
    k: Tensor,
    v: Tensor,
    segments: readonly Segment[],
  ): { readonly k: Tensor; readonly v: Tensor; readonly segments: readonly Segment[] };
  /** An adapter's form, made once: what it is made of does not change while text is generated. */
  form(site: string, make: () => LinearForm): LinearForm;
  /** Count the batch's tokens as seen, once every layer has appended them. */
  advance(segments: readonly Segment[]): void;
  close(): void;
}

export function createKeyValueCache(
  engine: Engine,
  layout: { readonly layers: number; readonly sequences: number; readonly capacity: number; readonly width: number },
): KeyValueCache {
  const { layers, sequences, capacity, width } = layout;
  const empty = (): Tensor =>
    scope(() => {
      const zeros = engine.full([sequences * capacity, width], 0);
      return engine.precision === 'float32' ? zeros : engine.cast(zeros, engine.precision);
    });
  const stores = Array.from({ length: layers }, () => ({ k: detach(empty()), v: detach(empty()) }));
  const lengths = new Array<number>(sequences).fill(0);
  const forms = new Map<string, LinearForm>();

  return {
    lengths,
    capacity,
    append(virtual, k, v, segments) {
      const store = stores[virtual]!;
      const seen = segments.map((segment, sequence): Segment => {
        const { queryStart, queryLength } = segment;
        const length = lengths[sequence]! + queryLength;
        if (length > capacity) {
          throw new ModelError(
            'GENERATION_INVALID',
            `sequence ${sequence} would reach ${length} tokens; the cache holds ${capacity}`,
          );
        }
        const keyStart = sequence * capacity;
        const target = [keyStart + lengths[sequence]!, 0];
        engine.write(store.k, engine.slice(k, [queryStart, 0], [queryLength, width]), target);
        engine.write(store.v, engine.slice(v, [queryStart, 0], [queryLength, width]), target);
        return { queryStart, queryLength, keyStart, keyLength: length };
      });
      return { ...store, segments: seen };
    },
    form(site, make) {
      const known = forms.get(site);
      if (known !== undefined) return known;
      const form = make();
      for (const tensor of tensorsOf(form)) tensor.retain();
      forms.set(site, form);
      return form;
    },
    advance(segments) {
      segments.forEach(({ queryLength }, sequence) => (lengths[sequence]! += queryLength));
    },
    close() {
      for (const { k, v } of stores) {
        k.release();
        v.release();
      }
      for (const form of forms.values()) for (const tensor of tensorsOf(form)) tensor.release();
    },
  };
}

function tensorsOf({ inScale, outScale, lowRank, bias }: LinearForm): Tensor[] {
  return [inScale, outScale, lowRank?.A, lowRank?.B, bias].filter((tensor) => tensor !== undefined);
}
