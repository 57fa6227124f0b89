// How near the engine's products with frozen weights come to the machine's limit: figures of its gemm_bench, over limits that
// machine_limits.cc measured beside it.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { root } from '../../prepare.mjs';
import { markdownTable } from '../pages/results-table.mjs';

const engine = path.join(root, 'plugins/engine-native');
const rowCounts = [32, 256, 512];

/** The unit of machine_limits that an instruction set's products run on. */
const unitOf = {
  'avx512-bf16': { bfloat16: ['AVX-512 BF16', 'bfloat16'], float32: ['AVX-512', 'float32'] },
  avx512: { bfloat16: ['AVX-512', 'float32'], float32: ['AVX-512', 'float32'] },
  avx2: { bfloat16: ['AVX2', 'float32'], float32: ['AVX2', 'float32'] },
  neon: { bfloat16: ['NEON', 'float32'], float32: ['NEON', 'float32'] },
};

/**
 * Run the engine's benchmark of products by instruction set, the machine's limits before and after each.
 *
 * @param {(threads: number) => import('./machine-limits.mjs').Limits} measureLimits
 * @param {number} threads
 */
export function measureKernels(measureLimits, threads) {
  execFileSync(process.execPath, ['build.mjs', '--tests'], { cwd: engine, stdio: ['ignore', 'ignore', 'inherit'] });
  const program = path.join(engine, 'build/gemm_bench');
  const present = new Set(measureLimits(threads).units.map(({ unit }) => unit));
  return /** @type {(keyof typeof unitOf)[]} */ (Object.keys(unitOf)).flatMap((isa) => {
    if (!Object.values(unitOf[isa]).every(([unit]) => present.has(unit))) return [];
    const before = measureLimits(threads);
    const printed = execFileSync(program, [String(threads), isa], { encoding: 'utf8' });
    return kernelShares(isa, printed, [before, measureLimits(threads)]);
  });
}

/**
 * What gemm_bench printed of products with frozen weights, as shares of the larger of the limits.
 *
 * @param {keyof typeof unitOf} isa
 * @param {string} printed
 * @param {import('./machine-limits.mjs').Limits[]} limits
 */
export function kernelShares(isa, printed, limits) {
  const line = /^(forward|input gradient) +(bfloat16|float32) +(\d+) +(\d+) +(\d+) +([\d.]+) GFLOP\/s/gm;
  const figures = [...printed.matchAll(line)].map(([, pass, operands, rows, outputs, inputs, rate]) => ({
    isa,
    pass,
    operands,
    rows: Number(rows),
    weight: `${outputs} x ${inputs}`,
    gflops: Number(rate),
    share: Number(rate) / Math.max(...limits.map((each) => limitOf(each, ...unitOf[isa][operands]))),
  }));
  const wanted = figures.filter(({ rows }) => rowCounts.includes(rows));
  if (wanted.length < 2 * 2 * rowCounts.length)
    throw new Error(`gemm_bench ${isa} printed no figures of forward and input gradient as expected: ${printed}`);
  return wanted;
}

function limitOf({ units }, unit, operands) {
  const found = units.find((each) => each.unit === unit && each.operands === operands);
  if (found === undefined) throw new Error(`machine_limits measured no ${unit} with ${operands} operands`);
  return found.gflops;
}

/** The goal of a product: issue 6 has some for AVX-512 in bfloat16, and one for AVX2. */
function goalOf({ isa, operands, rows }) {
  if (isa === 'avx2') return operands === 'bfloat16' && rows >= 256 ? 0.8 : undefined;
  if (isa !== 'avx512-bf16' || operands !== 'bfloat16') return undefined;
  return rows >= 256 ? 0.88 : 0.7;
}

/** @param {ReturnType<typeof kernelShares>} shares @returns {string} Markdown */
export const kernelTable = (shares) =>
  markdownTable(
    ['instruction set', 'weights', 'pass', 'rows', 'product n x k', 'GFLOP/s', 'share of the limit', 'goal', 'met'],
    shares.map((each) => {
      const goal = goalOf(each);
      const percent = (share) => `${(100 * share).toFixed(0)}%`;
      return [
        each.isa,
        each.operands,
        each.pass,
        String(each.rows),
        each.weight,
        each.gflops.toFixed(0),
        percent(each.share),
        goal === undefined ? '' : percent(goal),
        goal === undefined ? '' : each.share >= goal ? 'yes' : '**no**',
      ];
    }),
  );
