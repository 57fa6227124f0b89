/** A value at a step. */
export interface Point {
  /** Optimizer steps done; 0 is the untrained model. */
  readonly step: number;
  /** The loss or score after that step. */
  readonly value: number;
}

/** The score by which the best is told: a config's `evaluate.watch`. */
export interface Watch {
  /** The evaluator's kind. */
  readonly evaluator: string;
  /** One of the names of its scores. */
  readonly score: string;
  /** Which values of it are better. */
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
    .reduce<Point | undefined>(
      (best, point) => (best && isAtLeast(best.value, point.value, better) ? best : point),
      undefined,
    );
}

/** The first step at which a score is as good as `goal`; undefined: at none. */
export function stepReaching(points: readonly Point[], goal: number, better: Better): number | undefined {
  return points.find(({ step, value }) => step > 0 && isAtLeast(value, goal, better))?.step;
}
