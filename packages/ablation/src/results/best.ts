/** A value at a step. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

/** The score by which the best is told: a config's `evaluate.watch`. */
export interface Watch {
  readonly evaluator: string;
  readonly score: string;
  readonly better: 'lower' | 'higher';
}

type Better = Watch['better'];

const isAtLeast = (value: number, other: number, better: Better): boolean =>
  better === 'lower' ? value <= other : value >= other;

/** The first of the best points. Of a trained model step 0 does not count: it is the untrained one. */
export function bestOf(points: readonly Point[], better: Better): Point | undefined {
  const counted = points.some(({ step }) => step > 0) ? points.filter(({ step }) => step > 0) : points;
  return counted
    .filter(({ value }) => Number.isFinite(value))
    .reduce<Point | undefined>((best, point) => (best && isAtLeast(best.value, point.value, better) ? best : point), undefined); // prettier-ignore
}

/** The first step at which a score is as good as `goal`; undefined: at none. */
export function stepReaching(points: readonly Point[], goal: number, better: Better): number | undefined {
  return points.find(({ step, value }) => step > 0 && isAtLeast(value, goal, better))?.step;
}
