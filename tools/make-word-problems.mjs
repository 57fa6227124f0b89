#!/usr/bin/env node
// Writes short arithmetic word problems as JSONL rows { question, answer }, answers ending in "#### N".
//
// usage: node tools/make-word-problems.mjs --count 800 --seed 1 --out FILE [--avoid FILE]
//   --avoid FILE   leave out questions that this file has
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/** mulberry32: a small generator of 32-bit state, enough to mix templates; the same seed gives the same file. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const names = [
  'Mia',
  'Noah',
  'Ava',
  'Liam',
  'Zoe',
  'Omar',
  'Ines',
  'Kofi',
  'Lena',
  'Raj',
  'Sara',
  'Theo',
  'Yuki',
  'Ben',
  'Nora',
  'Ivan',
];
const things = [
  'pencils',
  'apples',
  'stickers',
  'marbles',
  'books',
  'cookies',
  'shells',
  'stamps',
  'buttons',
  'cards',
  'beads',
  'oranges',
];
const boxes = ['boxes', 'bags', 'baskets', 'jars', 'trays'];

// Each template draws its numbers and gives the question, its steps as [text before, left, sign, right], and the answer.
const templates = [
  ({ n, name, thing, box }) => {
    const [a, b, c] = [n(2, 9), n(3, 12), n(1, 6)];
    return [`${name} has ${a} ${box} with ${b} ${thing} each. ${name} gives ${c} ${thing} away. How many ${thing} are left?`,
      [[`The ${box} hold`, a, '*', b, thing], [`There are`, a * b, '-', c, `${thing} left`]]];
  },
  ({ n, name, thing }) => {
    const [a, b] = [n(10, 60), n(5, 40)];
    return [`${name} has ${a} ${thing} and finds ${b} more. How many ${thing} does ${name} have now?`,
      [[`${name} has`, a, '+', b, `${thing} now`]]];
  },
  ({ n, name, other, thing }) => {
    const [a, k] = [n(3, 20), n(2, 5)];
    return [`${name} has ${a} ${thing}. ${other} has ${k} times as many. How many ${thing} do they have together?`,
      [[`${other} has`, a, '*', k, thing], [`Together they have`, a, '+', a * k, thing]]];
  },
  ({ n, name, thing }) => {
    const [price, count, extra] = [n(2, 9), n(2, 9), n(1, 20)];
    return [`${name} buys ${count} ${thing} for $${price} each and pays with $${price * count + extra}. How many dollars of change does ${name} get?`,
      [[`The ${thing} cost`, count, '*', price, 'dollars'], ['The change is', price * count + extra, '-', price * count, 'dollars']]];
  },
  ({ n, name, thing }) => {
    const [friends, each] = [n(2, 9), n(2, 12)];
    return [`${name} shares ${friends * each} ${thing} equally among ${friends} friends. How many ${thing} does each friend get?`,
      [['Each friend gets', friends * each, '/', friends, thing]]];
  },
  ({ n, name, other }) => {
    const [age, gap, years] = [n(5, 30), n(2, 15), n(2, 10)];
    return [`${name} is ${age} years old. ${other} is ${gap} years older. How old will ${other} be in ${years} years?`,
      [[`${other} is`, age, '+', gap, 'years old'], [`In ${years} years ${other} will be`, age + gap, '+', years, 'years old']]];
  },
  ({ n, name }) => {
    const [speed, hours, rest] = [n(3, 60), n(2, 6), n(1, 20)];
    return [`${name} rides ${speed} miles an hour for ${hours} hours and then walks ${rest} miles. How many miles is that in all?`,
      [[`The ride is`, speed, '*', hours, 'miles'], ['In all it is', speed * hours, '+', rest, 'miles']]];
  },
  ({ n, name }) => {
    const [wage, hours, spent] = [n(8, 20), n(2, 8), n(2, 15)];
    return [`${name} earns $${wage} an hour and works ${hours} hours. Then ${name} spends $${spent}. How many dollars are left?`,
      [[`${name} earns`, wage, '*', hours, 'dollars'], ['There are', wage * hours, '-', spent, 'dollars left']]];
  },
  ({ n, name, thing, box }) => {
    const [count, per] = [n(2, 9), n(2, 12)];
    return [`${name} packs ${count * per} ${thing} into ${box} of ${per}. How many ${box} are needed?`,
      [[`${name} needs`, count * per, '/', per, box]]];
  },
  ({ n, name, thing }) => {
    const [day, days, goal] = [n(3, 15), n(2, 7), n(5, 30)];
    return [`${name} wants ${day * days + goal} ${thing} and collects ${day} a day for ${days} days. How many ${thing} are still missing?`,
      [[`${name} collects`, day, '*', days, thing], ['There are', day * days + goal, '-', day * days, `${thing} missing`]]];
  },
  ({ n, name, thing, box }) => {
    const [half, b] = [n(4, 25), n(2, 20)];
    return [`${name} has ${half * 2} ${thing} and sells half of them. Then ${name} makes ${b} more. How many ${thing} does ${name} have now?`,
      [[`${name} sells`, half * 2, '/', 2, thing], ['There remain', half * 2, '-', half, thing], [`Now ${name} has`, half, '+', b, thing]]];
  },
  ({ n, name, other, thing }) => {
    const [a, less, k] = [n(12, 40), n(2, 10), n(2, 4)];
    return [`${name} has ${a} ${thing}. ${other} has ${less} fewer than ${name}. If ${other} buys ${k} times that many more, how many does ${other} buy?`,
      [[`${other} has`, a, '-', less, thing], [`${other} buys`, a - less, '*', k, thing]]];
  },
  ({ n, name }) => {
    const [rows, seats, taken] = [n(3, 12), n(4, 12), n(3, 11)];
    return [`A hall has ${rows} rows of ${seats} seats. ${name} counts ${taken} taken seats. How many seats are free?`,
      [['The hall has', rows, '*', seats, 'seats'], ['There are', rows * seats, '-', taken, 'free seats']]];
  },
  ({ n, name }) => {
    const [minutes, parts, pause] = [n(5, 25), n(2, 6), n(3, 20)];
    return [`${name} reads ${parts} chapters, each in ${minutes} minutes, and rests ${pause} minutes once. How many minutes pass?`,
      [['Reading takes', parts, '*', minutes, 'minutes'], ['In all', parts * minutes, '+', pause, 'minutes pass']]];
  },
]; // prettier-ignore

const compute = { '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b };

/** `count` rows without repeated questions, none of them in `avoid`. */
export function makeWordProblems(count, seed, avoid = new Set()) {
  const uniform = generator(seed);
  const n = (least, most) => least + Math.floor(uniform() * (most - least + 1));
  const pick = (list) => list[n(0, list.length - 1)];
  const seen = new Set(avoid);
  const rows = [];
  while (rows.length < count) {
    const name = pick(names);
    const [question, steps] = pick(templates)({
      n,
      name,
      other: pick(names.filter((each) => each !== name)),
      thing: pick(things),
      box: pick(boxes),
    });
    if (seen.has(question)) continue;
    seen.add(question);
    const lines = steps.map(
      ([text, a, sign, b, unit]) => `${text} ${a} ${sign} ${b} = ${compute[sign](a, b)} ${unit}.`,
    );
    const [, a, sign, b] = steps.at(-1);
    rows.push({ question, answer: `${lines.join(' ')}\n#### ${compute[sign](a, b)}` });
  }
  return rows;
}

export const toJsonLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string' },
      seed: { type: 'string' },
      out: { type: 'string' },
      avoid: { type: 'string' },
    },
  });
  const [count, seed] = [Number(values.count), Number(values.seed)];
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed) || values.out === undefined) {
    console.error('usage: node tools/make-word-problems.mjs --count 800 --seed 1 --out FILE [--avoid FILE]');
    process.exit(1);
  }
  const avoid = values.avoid === undefined ? [] : readFileSync(values.avoid, 'utf8').trim().split('\n');
  writeFileSync(
    values.out,
    toJsonLines(makeWordProblems(count, seed, new Set(avoid.map((line) => JSON.parse(line).question)))),
  );
}
