import { TensorsError, type AttentionOptions, type FusedOperations, type Segment, type Tensor } from '@glulam/tensors';
import { typeNumber, type Device } from '../device.js';
import { expectShape, stored } from './checks.js';

export function attention({ make, run }: Device): FusedOperations['attention'] {
  const params = (q: Tensor, k: Tensor, options: AttentionOptions): number[] => {
    const { heads, keyValueHeads, headSize, window, scale, segments, type } = options;
    const all = [q.shape[0]!, k.shape[0]!, heads, keyValueHeads, headSize, window, scale, typeNumber(type)];
    for (const { queryStart, queryLength, keyStart, keyLength } of segments)
      all.push(queryStart, queryLength, keyStart, keyLength);
    return all;
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
      run('attention', [output, lse, q, k, v], params(q, k, options));
      return { output, saved: keep ? { q, k, v, output, lse } : {} };
    },
    backward({ q, k, v, output, lse }, gradient, options) {
      const [dq, dk, dv] = [make(q!.shape), make(k!.shape), make(v!.shape)];
      run('attentionBackward', [dq, dk, dv, gradient, q, k, v, output, lse], params(q!, k!, options));
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
