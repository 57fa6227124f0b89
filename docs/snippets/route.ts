import type { Route, RouteStep } from '@glulam/model';

/** Of eight layers, layers 2 to 5 `repeats` times. The gradient goes through the last `through` of them. */
export function looped(repeats: number, through = repeats): Route {
  const visits = (...layers: number[]): RouteStep[] => layers.map((layer) => ({ kind: 'visit', layer }));
  const core = Array.from({ length: repeats }, (_, repeat): RouteStep[] =>
    repeat === repeats - through && repeat > 0 ? [{ kind: 'cut' }, ...visits(2, 3, 4, 5)] : visits(2, 3, 4, 5),
  );
  return [...visits(0, 1), ...core.flat(), ...visits(6, 7)];
}
