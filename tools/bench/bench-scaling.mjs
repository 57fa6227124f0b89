#!/usr/bin/env node
// `npm run bench:scaling`: tokens a second and peak memory of training against sequence length, virtual layers, batch and
// rank, each beside what a model of cost and the plan say, and the same two for models that are too large to be measured here.
// Writes bench/scaling/PROCESSOR.md and its charts. About fifteen minutes; needs 2.4 GB of disk. `--check FOLDER` writes there, of a few
// points on the tiny model of the examples: seconds, for a look at whether all of this still works.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from '../prepare.mjs';

const checkFolder = (() => {
  try {
    return parseArgs({ options: { check: { type: 'string' } } }).values.check;
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\n\nusage: npm run bench:scaling [-- --check FOLDER]`);
    process.exit(1);
  }
})();
const isCheck = checkFolder !== undefined;
if (process.platform !== 'linux') {
  console.error('npm run bench:scaling reads memory from /proc, which this system does not have: run it on Linux.');
  process.exit(1);
}
prepare();
const { makeTrainable } = await import('./measure/make-trainable.mjs');
const { plan } = await import('glulam');
const { planAndTrain } = await import('../check/plan-and-train.mjs');
const { configOf, fewPoints, scalingPoints, series, widePoints } = await import('./pages/scaling-points.mjs');
const { stepTerms } = await import('./measure/model-cost.mjs');
const { arithmeticLimit, openMachineLimits } = await import('./measure/machine-limits.mjs');
const { median } = await import('./measure/median.mjs');
const { fitCost } = await import('./measure/cost-fit.mjs');
const { project } = await import('./measure/projections.mjs');
const { scalingPage } = await import('./pages/scaling-page.mjs');
const { drawChart } = await import('@glulam/trainer');
const { scalingChart } = await import('./pages/scaling-charts.mjs');
const { describeRun } = await import('./measure/describe-run.mjs');
const { processorName } = await import('./measure/processor.mjs');

const work = mkdtempSync(path.join(tmpdir(), 'glulam-scaling-'));

/** Train at a point on a checkpoint; its speed, its peaks, and the terms of the model of cost. */
async function measure(point, base) {
  const model = JSON.parse(readFileSync(path.join(base, 'config.json'), 'utf8'));
  const where = { base, physical: model.num_hidden_layers, work };
  const config = configOf(point, { ...where, steps: 2 });
  // Tokens go to the cache here: a process that makes them keeps some memory of it, which is none of training's.
  await plan(config);
  const { planned, measured, ...watched } = await planAndTrain(config);
  const { steps } = isCheck ? watched : await planAndTrain(configOf(point, { ...where, steps: 5 }), { watched: false });
  // The last part of a text is shorter than the others.
  const full = steps.slice(1).filter(({ tokens }) => tokens === point.batch * point.tokens);
  if (full.length === 0) throw new Error(`no step after the first had ${point.batch} x ${point.tokens} tokens`);
  const tokensPerSecond = median(full.map((step) => step.tokensPerSecond));
  const terms = stepTerms(model, point);
  console.log(
    `${JSON.stringify(point)}: ${tokensPerSecond.toFixed(1)} tokens/s, ${(measured / 1e6).toFixed(0)} MB, planned ${(planned / 1e6).toFixed(0)} MB`,
  );
  return {
    ...point,
    planned,
    measured,
    tokensPerSecond,
    terms,
    seconds: (point.batch * point.tokens) / tokensPerSecond,
  };
}

const limit = arithmeticLimit(openMachineLimits(path.join(root, 'bench/work'))(availableParallelism()), 'bfloat16');
const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const measured = [];
const small = isCheck ? tiny : await makeTrainable('small');
for (const point of isCheck ? fewPoints() : scalingPoints()) measured.push(await measure(point, small));
const bench = isCheck ? tiny : await makeTrainable('bench');
const wide = [];
for (const point of isCheck ? widePoints.fitted.slice(0, 1) : widePoints.fitted) wide.push(await measure(point, bench));
const fitted = [...measured, ...wide];
const cost = fitCost(
  fitted.map(({ terms }) => terms),
  fitted.map(({ seconds }) => seconds),
  { products: 1e-9 / limit },
);
const modelled = (point) => ({ ...point, modelled: (point.batch * point.tokens) / cost.predict(point.terms) });
const check = isCheck ? wide[0] : await measure(widePoints.check, bench);
const points = measured.map(modelled);
const results = {
  points,
  wide: wide.map(modelled),
  cost,
  limit,
  check: modelled(check),
  projections: await project(cost),
  about: `${isCheck ? 'A check of the benchmark, on the tiny model of the examples: its figures say nothing. ' : ''}${describeRun(['engine native'])}`,
};

const folder = isCheck ? checkFolder : path.join(root, 'bench/scaling');
const processor = isCheck ? 'check' : processorName();
mkdirSync(folder, { recursive: true });
writeFileSync(path.join(folder, `${processor}.md`), scalingPage(results, processor));
for (const name of /** @type {(keyof typeof series)[]} */ (Object.keys(series)))
  writeFileSync(path.join(folder, `${processor}-${name}.svg`), `${await drawChart(scalingChart(name, points))}\n`);
rmSync(work, { recursive: true });
console.log(`written: ${path.join(folder, `${processor}.md`)} and its charts`);
