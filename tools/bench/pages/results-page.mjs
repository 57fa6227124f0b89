// The page of results that `npm run bench` writes.
import { kernelTable } from '../measure/kernel-shares.mjs';
import { median } from '../measure/median.mjs';
import { digits, markdownTable, resultsTable, roundsTable } from './results-table.mjs';

/**
 * @param {{ about: string, shape: string, rounds: number, rows: ReturnType<typeof import('./results-table.mjs').tableRows>,
 *   limits: import('../measure/machine-limits.mjs').Limits[], kernels?: ReturnType<typeof import('../measure/kernel-shares.mjs').kernelShares> }} results
 */
export function resultsPage({ about, shape, rounds, rows, limits, kernels }) {
  const goals = rows.filter(({ met }) => met !== undefined);
  return (
    [
      '# Benchmark',
      `What \`npm run bench\` measured. ${about}`,
      ...(rows.length > 0
        ? [
            '## Glulam and PEFT',
            `${shape} Glulam and PEFT took turns, a process of its own for each work; rounds: ${rounds}. A process's figure is the median ` +
              "of its steps or prompts after the first, a figure here the median of the processes. A ratio is Glulam's figure over PEFT's." +
              (goals.length > 0 ? ` ${goals.filter(({ met }) => met).length} of ${goals.length} goals are met.` : ''),
            resultsTable(rows),
            counting,
            '### Every process',
            roundsTable(rows),
          ]
        : []),
      "## The machine's limits",
      'By `tools/bench/measure/machine_limits.cc`, which shares no code with the engine, on as many threads: multiply-adds on registers ' +
        'alone, and a plain read of 1 GiB; the best of about half a second, measured anew before each round of each work.',
      limitsTable(limits),
      ...(kernels ? ['## Products with frozen weights', kernelText, kernelTable(kernels)] : []),
    ].join('\n\n') + '\n'
  );
}

const counting = `Share of the limit: the model's floating-point operations over what the machine's fastest unit that could compute them
does in that time: for a bfloat16 base, one for bfloat16 or, where that is faster, for float32, by the median of the limits measured beside the work. Counted are, a multiply-add as two: products with
frozen weights forward and for the gradients of their inputs (4 x tokens x weights, the head's included; 6 with recomputation,
the head's still 4), the low-rank products (6 x tokens x rank x (inputs + outputs), 8 with recomputation), attention over the pairs that
are visible (12 x width x pairs, 16 with recomputation). Of a prompt the forward products alone, the head for its last token.
What DoRA does besides, norms and activations are not counted. For decoding it is the bytes of weights that a token reads,
every virtual layer's and the head's, over the rate of plain reads. Memory beyond the weights: the largest resident set,
less the frozen weights in it. The files are in the page cache.`;

const kernelText = `The engine's own benchmark of products (\`gemm_bench\`), the best of some runs, over the limit of the unit that they run on: without
bfloat16 products, weights of bfloat16 are widened in registers and the limit is that of float32.`;

/** @param {import('../measure/machine-limits.mjs').Limits[]} limits */
function limitsTable(limits) {
  /** @type {[string, string, number[]][]} */
  const rates = limits[0].units.map(({ unit, operands }, index) => [
    `${unit}, ${operands}`,
    'GFLOP/s',
    limits.map(({ units }) => units[index].gflops),
  ]);
  /** @type {typeof rates} */
  const all = [...rates, ['reads', 'GB/s', limits.map(({ readGigabytesPerSecond }) => readGigabytesPerSecond)]];
  return markdownTable(
    ['limit', 'unit', 'median', 'least', 'most'],
    all.map(([name, unit, values]) => [
      name,
      unit,
      ...[median(values), Math.min(...values), Math.max(...values)].map(digits),
    ]),
  );
}
