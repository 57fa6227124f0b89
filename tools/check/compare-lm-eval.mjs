// Compares what `glulam eval --samples FOLDER` wrote with lm-evaluation-harness's own samples, one by one: prompts and
// generated texts must be equal, log probabilities of choices to 1e-4, scores the same.
// usage: node tools/check/compare-lm-eval.mjs FOLDER/EVALUATOR.jsonl HARNESS.jsonl [NAME=SCORE ...]
// HARNESS.jsonl: the harness's samples, as fixtures/lm-eval/make_lm_eval.py writes them. NAME=SCORE: the harness's filter or
// metric NAME is Glulam's score SCORE, where they have other names (acc=mc1).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** The harness's names of what Glulam calls otherwise. */
const known = { 'strict-match': 'strict', 'flexible-extract': 'flexible' };
const tolerance = 1e-4;

/**
 * @typedef {{ readonly id: number, readonly prompt: string, readonly choices?: readonly string[], readonly output?: string | readonly number[], readonly found?: Readonly<Record<string, string | null>>, readonly scores: Readonly<Record<string, number>> }} Sample
 * @typedef {{ doc_id: number, arguments: [string, unknown][], resps: any[][], filtered_resps: any[], filter: string, exact_match?: number, acc?: number, acc_norm?: number }} Reference
 *
 * @param {readonly Sample[]} samples
 * @param {readonly Reference[]} reference
 * @param {Record<string, string>} [names]
 * @returns {{ compared: number, differences: string[], worst: number }} `worst`: the largest difference of two log probabilities
 */
export function compareSamples(samples, reference, names = {}) {
  const byId = new Map(samples.map((sample) => [sample.id, sample]));
  const nameOf = (/** @type {string} */ name) => names[name] ?? known[/** @type {keyof known} */ (name)] ?? name;
  /** @type {string[]} */
  const differences = [];
  let worst = 0;
  for (const theirs of reference) {
    const ours = byId.get(theirs.doc_id);
    const differ = (/** @type {string} */ what, /** @type {unknown} */ got, /** @type {unknown} */ expected) =>
      differences.push(
        `sample ${theirs.doc_id} (${theirs.filter}): ${what} is ${JSON.stringify(got)}; the harness's is ${JSON.stringify(expected)}`,
      );
    if (ours === undefined) {
      differ('the sample', undefined, theirs.doc_id);
      continue;
    }
    const [[prompt]] = theirs.arguments;
    if (ours.prompt !== prompt) differ('the prompt', ours.prompt, prompt);
    if (theirs.exact_match !== undefined) {
      const name = nameOf(theirs.filter);
      if (ours.output !== theirs.resps[0][0]) differ('the text', ours.output, theirs.resps[0][0]);
      const found = ours.found?.[name] ?? '[invalid]';
      if (found !== theirs.filtered_resps[0]) differ('what was found', found, theirs.filtered_resps[0]);
      if (ours.scores[name] !== theirs.exact_match) differ(name, ours.scores[name], theirs.exact_match);
      continue;
    }
    theirs.arguments.forEach(([, choice], i) => {
      const [[value]] = theirs.resps[i];
      const at = (ours.choices ?? []).indexOf(/** @type {string} */ (choice));
      const got = /** @type {number[]} */ (ours.output ?? [])[at];
      const distance = Math.abs(got - value);
      worst = Math.max(worst, distance);
      if (!(distance <= tolerance * Math.max(1, Math.abs(value))))
        differ(`the log probability of${choice}`, got, value);
    });
    for (const metric of /** @type {const} */ (['acc', 'acc_norm'])) {
      const value = theirs[metric];
      if (value === undefined) continue;
      const got = ours.scores[nameOf(metric)];
      if (!(Math.abs(got - value) <= tolerance)) differ(nameOf(metric), got, value);
    }
  }
  return { compared: reference.length, differences, worst };
}

/** @param {string} file @returns {any[]} */
export function readJsonLines(file) {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [ours, theirs, ...names] = parseArgs({ allowPositionals: true }).positionals;
  if (ours === undefined || theirs === undefined) {
    console.error('usage: node tools/check/compare-lm-eval.mjs FOLDER/EVALUATOR.jsonl HARNESS.jsonl [NAME=SCORE ...]');
    process.exit(1);
  }
  const [, ...samples] = readJsonLines(ours);
  const result = compareSamples(
    samples,
    readJsonLines(theirs),
    Object.fromEntries(names.map((each) => each.split('='))),
  );
  for (const line of result.differences) console.log(line);
  console.log(
    `${result.compared} compared, ${result.differences.length} differences; log probabilities differ by at most ${result.worst}`,
  );
  if (result.differences.length > 0) process.exit(1);
}
