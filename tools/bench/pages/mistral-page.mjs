// The page of results that `npm run bench:mistral` writes.
import { digits, markdownTable } from './results-table.mjs';

/** @typedef {{ times: number[], seconds: number, peak: number, beyond: number }} Side seconds of steps, and GB */

/**
 * @param {{ about: string, layers: number, virtualLayers: number, glulam: Side, peft?: Side,
 *   planned: { peak: number } }} results
 */
export function mistralPage({ about, layers, virtualLayers, glulam, peft, planned }) {
  const sides = /** @type {[string, Side][]} */ ([['Glulam', glulam], ...(peft ? [['PEFT', peft]] : [])]);
  const ratio = (key) => (peft ? [`${(peft[key] / glulam[key]).toFixed(2)}x`] : []);
  const row = (label, key, unit) => [label, ...sides.map(([, side]) => `${digits(side[key])} ${unit}`), ...ratio(key)];
  const [first, ...others] = glulam.times;
  return (
    [
      '# Mistral 7B, 48 layers deep',
      `What \`npm run bench:mistral\` measured. ${about}`,
      `Random bfloat16 weights, ${layers} layers as ${virtualLayers} virtual layers, LoRA r=8 on seven projections, one sequence of 256 ` +
        'tokens a step, everything recomputed. Memory is the largest resident set: the weights that lie in it are mapped from their ' +
        'files, which the system may drop and read again; the second line is what is beyond them.',
      markdownTable(
        ['', ...sides.map(([name]) => name), ...(peft ? ['ratio'] : [])],
        [row('a step', 'seconds', 's'), row('peak memory', 'peak', 'GB'), row('beyond the weights', 'beyond', 'GB')],
      ),
      `Steps of Glulam: ${[first, ...others].map(digits).join(', ')} s${peft ? `; of PEFT: ${peft.times.map(digits).join(', ')} s` : ''}; the first is not counted.` +
        ` The plan of such a run says ${digits(planned.peak / 1e9)} GB beyond the weights, what Node itself takes included.`,
    ].join('\n\n') + '\n'
  );
}
