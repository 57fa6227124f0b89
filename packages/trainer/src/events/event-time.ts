/** What the wall clock was ahead of the steady one at most. */
let ahead = -Infinity;

/**
 * Milliseconds since 1970, for events: never less than before, and as fast as time, also where the clock of the machine is
 * set back. It follows the clock forward, over a suspension too. Durations are measured by `performance.now()`.
 */
export function eventTime(): number {
  const steady = performance.now();
  ahead = Math.max(ahead, Date.now() - steady);
  return Math.round(steady + ahead);
}
