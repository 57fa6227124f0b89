import { TensorsError, type AttentionOptions, type Fused, type Segment, type Tensor } from '@glulam/tensors';
import { expectShape, stored } from './checks.js';
import type { FusedCommands } from './commands.js';

type AttentionPair = Fused<
  { q: Tensor; k: Tensor; v: Tensor },
  AttentionOptions & { readonly softCap?: number | undefined }
>;

/** With a softCap and without one. */
export function attention({ make, run }: FusedCommands): AttentionPair {
  /** queryStart, queryLength, keyStart, keyLength of each. */
  const flat = (segments: readonly Segment[]): number[] => {
    const numbers: number[] = [];
    for (const { queryStart, queryLength, keyStart, keyLength } of segments)
      numbers.push(queryStart, queryLength, keyStart, keyLength);
    return numbers;
  };
  return {
    forward({ q, k, v }, options, keep) {
      const { heads, keyValueHeads, headSize, segments, type } = options;
      const [queries] = stored('attention', q);
      const [keys] = stored('attention', k);
      stored('attention', v);
      expectShape('attention', 'q', q, [queries, heads * headSize]);
      for (const x of [k, v]) expectShape('attention', 'k or v', x, [keys, keyValueHeads * headSize]);
      for (const segment of segments) checkSegment(segment, queries, keys);
      const output = make(q.shape, type);
      // log sum exp of each query's scores, by head: what backward needs to have the shares again.
      const lse = make([queries, heads]);
      const { window, scale, softCap = 0 } = options;
      run('attention', {
        out: output,
        lse,
        q,
        k,
        v,
        queries,
        keys,
        heads,
        keyValueHeads,
        headSize,
        window,
        scale,
        softCap,
        segments: flat(segments),
        type,
      });
      return { output, saved: keep ? { q, k, v, output, lse } : {} };
    },
    backward({ q, k, v, output, lse }, gradient, options) {
      const [dq, dk, dv] = [make(q!.shape), make(k!.shape), make(v!.shape)];
      const { heads, keyValueHeads, headSize, window, scale, softCap = 0, segments } = options;
      run('attentionBackward', {
        dq,
        dk,
        dv,
        dOut: gradient,
        q: q!,
        k: k!,
        v: v!,
        out: output!,
        lse: lse!,
        queries: q!.shape[0]!,
        keys: k!.shape[0]!,
        heads,
        keyValueHeads,
        headSize,
        window,
        scale,
        softCap,
        segments: flat(segments),
      });
      return { q: dq, k: dk, v: dv };
    },
  };
}

function checkSegment(segment: Segment, queries: number, keys: number): void {
  const { queryStart, queryLength, keyStart, keyLength } = segment;
  const inside =
    queryStart >= 0 && keyStart >= 0 && queryStart + queryLength <= queries && keyStart + keyLength <= keys;
  if (inside && queryLength >= 0 && queryLength <= keyLength) return;
  throw new TensorsError(
    'BAD_ARGUMENT',
    `attention: got the segment ${JSON.stringify(segment)}; expected rows inside of ${queries} queries and ${keys} keys, ` +
      'with no more queries than keys',
  );
}
