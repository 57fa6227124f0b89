import type { OutOfTime } from './time-limit.js';

/** What to say of a match that was stopped: which expression it is, and the length of the text that it was matched with. */
export function describeTimeout(what: string, length: number, { milliseconds }: OutOfTime): string {
  const seconds = (milliseconds / 1000).toFixed(1).replace(/\.0$/, '');
  return (
    `${what} was stopped after ${seconds} s on a text of ${length.toLocaleString('en')} characters; expected a match within this time. ` +
    'Repeats within repeats, such as (a+)+, take exponential time where nothing matches: rewrite the expression so that each character can match in one way only'
  );
}
