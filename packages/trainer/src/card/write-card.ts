import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readTextFile, writeFileAtomic } from '@glulam/files';
import { drawChart } from '../charts/draw-chart.js';
import { lossChart } from './loss-chart.js';
import { chartName, modelCard, type CardFacts } from './model-card.js';

/**
 * Write README.md and the picture of its losses into a run folder. A card that somebody edited is theirs: it stays, and
 * false is returned.
 */
export async function writeCard(folder: string, facts: CardFacts): Promise<boolean> {
  const { steps, evaluations } = facts.story;
  if (steps.length > 0) {
    const heldOut = evaluations.flatMap(({ evaluator, step, scores }) =>
      evaluator === 'loss' && scores['loss'] !== undefined ? [{ step, loss: scores['loss'] }] : [],
    );
    await writeFileAtomic(path.join(folder, chartName), await drawChart(lossChart(steps, heldOut)));
  }
  const file = path.join(folder, 'README.md');
  if (existsSync(file) && !isOurs(readTextFile(file))) return false;
  await writeFileAtomic(file, sign(modelCard(facts)));
  return true;
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A comment at the end has the hash of all before it, so that an edit is seen. */
const sign = (card: string): string =>
  `${card}\n<!-- Written by Glulam, and again at the run's end as long as it is not edited: ${hashOf(card)} -->\n`;

function isOurs(text: string): boolean {
  const [, card, hash] = /^([\s\S]*)\n<!-- Written by Glulam, [^\n]*: ([0-9a-f]{64}) -->\n$/.exec(text) ?? [];
  return card !== undefined && hashOf(card) === hash;
}
