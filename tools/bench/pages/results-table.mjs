// From what was measured to the table: medians, ratios, shares of the limit, and whether goals are met.
import { arithmeticLimit } from '../measure/machine-limits.mjs';
import { median } from '../measure/median.mjs';

/**
 * The rows of one work. `rounds` holds what each process printed and the limits measured beside it.
 *
 * @param {{ rows: object[] }} work
 * @param {{ glulam: object, peft?: object, limits: import('../measure/machine-limits.mjs').Limits }[]} rounds
 */
export function tableRows({ rows }, rounds) {
  return rows.map(({ label, unit, figure, share, goal }) => {
    const each = {
      glulam: rounds.map(({ glulam }) => figure(glulam)),
      peft: rounds.flatMap(({ peft }) => (peft ? figure(peft) : [])),
    };
    const glulam = median(each.glulam);
    const peft = each.peft.length > 0 ? median(each.peft) : undefined;
    // Of the figure's own unit: tokens a second, if nothing held the machine up.
    const limit = share && median(rounds.map(({ limits }) => rateOf(limits, share.of))) / share.perUnit;
    const row = {
      label,
      unit,
      goal,
      each,
      glulam,
      peft,
      ratio: peft && glulam / peft,
      limit,
      share: limit && glulam / limit,
    };
    return { ...row, met: isMet(row) };
  });
}

const rateOf = (limits, what) => (what === 'reads' ? limits.readGigabytesPerSecond : arithmeticLimit(limits, what));

/** undefined: there is no goal, or nothing to compare with. */
function isMet({ goal, glulam, ratio, share }) {
  if (goal?.share !== undefined) return share >= goal.share;
  if (goal?.below !== undefined) return glulam < goal.below;
  if (goal === undefined || ratio === undefined) return undefined;
  return goal.atLeast === undefined ? ratio <= goal.atMost : ratio >= goal.atLeast;
}

/** @param {ReturnType<typeof tableRows>} rows @returns {string} Markdown */
export function resultsTable(rows) {
  const lines = rows.map(({ label, unit, glulam, peft, ratio, limit, share, goal, met }) => [
    label,
    peft === undefined ? '' : `${digits(peft)} ${unit}`,
    `${digits(glulam)} ${unit}`,
    times(ratio),
    goalText(goal),
    met === undefined ? '' : met ? 'yes' : '**no**',
    share === undefined ? '' : `${(100 * share).toFixed(0)}%`,
    limit === undefined ? '' : digits(limit) + (peft === undefined ? '' : ` (${times(limit / peft)})`),
  ]);
  return markdownTable(['work', 'PEFT', 'Glulam', 'ratio', 'goal', 'met', 'share of the limit', 'the limit'], lines);
}

/** What each process gave, in the order in which they ran. @param {ReturnType<typeof tableRows>} rows */
export function roundsTable(rows) {
  return markdownTable(
    ['work', 'unit', 'PEFT', 'Glulam'],
    rows.map(({ label, unit, each }) => [
      label,
      unit,
      each.peft.map(digits).join(', '),
      each.glulam.map(digits).join(', '),
    ]),
  );
}

/** @param {string[]} head @param {string[][]} lines */
export const markdownTable = (head, lines) =>
  [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** Three digits that count. @param {number} figure */
export const digits = (figure) => (figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3));

const times = (ratio) => (ratio === undefined ? '' : `${ratio.toFixed(2)}x`);

function goalText(goal) {
  if (goal === undefined) return '';
  if (goal.share !== undefined) return `${100 * goal.share}% of the limit`;
  if (goal.below !== undefined) return `below ${goal.below}`;
  return goal.atLeast === undefined ? `at most ${goal.atMost}x` : `${goal.atLeast}x`;
}
