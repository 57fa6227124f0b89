import { afterEach, expect, test, vi } from 'vitest';
import { eventTime } from './event-time.js';

afterEach(() => void vi.restoreAllMocks());

/** The two clocks of the machine, in milliseconds. */
function clocks() {
  const at = { wall: Date.now() + 1e6, steady: performance.now() };
  vi.spyOn(Date, 'now').mockImplementation(() => at.wall);
  vi.spyOn(performance, 'now').mockImplementation(() => at.steady);
  return {
    at,
    pass(milliseconds: number) {
      at.wall += milliseconds;
      at.steady += milliseconds;
    },
  };
}

test('time goes on at its pace where the clock is set back, and follows it forward', () => {
  const { at, pass } = clocks();
  const begun = eventTime();
  expect(begun).toBe(at.wall);
  pass(1000);
  expect(eventTime() - begun).toBe(1000);
  at.wall -= 3_600_000;
  expect(eventTime() - begun).toBe(1000);
  pass(500);
  expect(eventTime() - begun).toBe(1500);
  // A machine that slept: the steady clock did not run.
  at.wall += 3 * 3_600_000;
  expect(eventTime()).toBe(at.wall);
});
