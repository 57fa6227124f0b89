#!/usr/bin/env node
// Writes short arithmetic word problems as JSONL rows { question, answer }. An answer is one to three short sentences,
// each with its sum written out ("3 * 4 = 12"), and the result on a line of its own ("#### 12"), as in GSM8K.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const usage = `usage: node tools/make/make-word-problems.mjs --count N --seed S --out FILE [--avoid FILE]

  --count N      number of rows, from 1 to 100000
  --seed S       whole number from 0 to 4294967295; the same seed and count give the same bytes
  --out FILE     where the JSONL rows go
  --avoid FILE   JSONL rows whose questions are not to be repeated
  --help         this text`;

/**
 * mulberry32 (Tommy Ettinger): numbers in [0, 1) from 32 bits of state. Whole-number arithmetic only, so a seed gives
 * the same file on every machine and Node version.
 *
 * @param {number} seed
 */
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const women = 'Mia Ava Zoe Ines Lena Sara Yuki Nora Priya Amara Clara Hana'.split(' ');
const men = 'Noah Liam Omar Kofi Raj Theo Ben Ivan Mateo Jonas Felix Dario'.split(' ');
const people = [
  ...women.map((name) => ({ name, they: 'she', their: 'her' })),
  ...men.map((name) => ({ name, they: 'he', their: 'his' })),
];
const things = [
  ...'pencils apples stickers marbles books cookies shells stamps'.split(' '),
  ...'buttons cards beads oranges candles flowers ribbons lemons'.split(' '),
];
const containers = 'boxes bags baskets crates'.split(' ');

/** @typedef {{ value: number, toString(): string }} Step  a sum that reads "3 * 4 = 12" in a text */

/** @param {number} value @param {string} text @returns {Step} */
const step = (value, text) => ({ value, toString: () => `${text} = ${value}` });
/** @param {number[]} terms */
const add = (...terms) => {
  const sum = terms.reduce((a, b) => a + b);
  return step(sum, terms.join(' + '));
};
/** @param {number} a @param {number} b */
const subtract = (a, b) => step(a - b, `${a} - ${b}`);
/** @param {number} a @param {number} b */
const multiply = (a, b) => step(a * b, `${a} * ${b}`);
/** @param {number} a @param {number} b */
const divide = (a, b) => step(a / b, `${a} / ${b}`);

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * What a template draws from: `n` is a whole number between two, both included; `a`, `b` and `c` are three people.
 *
 * @typedef {typeof people[number]} Person
 * @typedef {{ n(least: number, most: number): number, pick(list: string[]): string,
 *   a: Person, b: Person, c: Person, thing: string, box: string }} Draw
 * @typedef {{ question: string, steps: Step[], reasoning: string }} Problem
 */

// The numbers are drawn freely: a draw with a step that is no whole number of at least 2 is thrown away (see `fits`).
/** @type {((draw: Draw) => Problem)[]} */
const templates = [
  ({ n, a, b, thing, box }) => {
    const [boxes, each, given] = [n(2, 12), n(3, 12), n(2, 20)];
    const all = multiply(boxes, each);
    const left = subtract(all.value, given);
    return {
      question: `${a.name} has ${boxes} ${box} with ${each} ${thing} in each of them. ${capital(a.they)} gives ${given} ${thing} to ${b.name}. How many ${thing} does ${a.name} have left?`,
      steps: [all, left],
      reasoning: `The ${box} hold ${all} ${thing}. After the gift ${a.name} has ${left} ${thing} left.`,
    };
  },
  ({ n, pick, a, thing }) => {
    const [count, price, extra, paid] = [n(2, 9), n(2, 9), n(2, 15), pick(['20', '50', '100'])];
    const [first, item] = [multiply(count, price), pick(['notebook', 'lunch', 'map', 'mug', 'scarf'])];
    const total = add(first.value, extra);
    const change = subtract(Number(paid), total.value);
    return {
      question: `${a.name} buys ${count} ${thing} for $${price} each and a ${item} for $${extra}. ${capital(a.they)} pays with $${paid}. How many dollars of change does ${a.they} get?`,
      steps: [first, total, change],
      reasoning: `The ${thing} cost ${first} dollars. With the ${item} that is ${total} dollars. The change is ${change} dollars.`,
    };
  },
  ({ n, a, b, thing }) => {
    const [mine, yours, friends] = [n(8, 60), n(8, 60), n(3, 9)];
    const all = add(mine, yours);
    const share = divide(all.value, friends);
    return {
      question: `${a.name} has ${mine} ${thing} and ${b.name} has ${yours}. They put all of them together and share them equally among ${friends} children. How many ${thing} does each child get?`,
      steps: [all, share],
      reasoning: `Together they have ${all} ${thing}. Each child gets ${share} ${thing}.`,
    };
  },
  ({ n, a, b, c }) => {
    const [age, times, younger] = [n(4, 15), n(2, 4), n(2, 9)];
    const second = multiply(age, times);
    const third = subtract(second.value, younger);
    return {
      question: `${a.name} is ${age} years old. ${b.name} is ${times} times as old as ${a.name}, and ${c.name} is ${younger} years younger than ${b.name}. How old is ${c.name}?`,
      steps: [second, third],
      reasoning: `${b.name} is ${second} years old. So ${c.name} is ${third} years old.`,
    };
  },
  ({ n, a, thing }) => {
    const [shelf, box, drawer] = [n(5, 60), n(5, 60), n(2, 30)];
    const all = add(shelf, box, drawer);
    return {
      question: `${a.name} keeps ${shelf} ${thing} on a shelf, ${box} in a box under the bed, and ${drawer} in a drawer. How many ${thing} does ${a.name} have in all?`,
      steps: [all],
      reasoning: `In the three places together ${a.name} has ${all} ${thing}.`,
    };
  },
  ({ n, a }) => {
    const [fast, long, slow, short] = [n(9, 20), n(2, 5), n(5, 12), n(2, 4)];
    const first = multiply(fast, long);
    const second = multiply(slow, short);
    const all = add(first.value, second.value);
    return {
      question: `${a.name} cycles for ${long} hours at ${fast} miles an hour. Then the road climbs, and ${a.they} cycles for ${short} hours at ${slow} miles an hour. How many miles does ${a.they} cycle in all?`,
      steps: [first, second, all],
      reasoning: `First ${a.name} cycles ${first} miles. On the climb it is ${second} miles. In all it is ${all} miles.`,
    };
  },
  ({ n, pick, a }) => {
    const [distance, hours, speed] = [n(90, 400), n(2, 6), n(30, 65)];
    const driven = multiply(hours, speed);
    const left = subtract(distance, driven.value);
    const place = pick(['the coast', 'the lake', 'the mountains', 'the city', 'the border']);
    return {
      question: `The way from ${a.name}'s home to ${place} is ${distance} miles. ${capital(a.they)} has been driving for ${hours} hours at ${speed} miles an hour. How many miles are still to go?`,
      steps: [driven, left],
      reasoning: `In ${hours} hours ${a.name} drives ${driven} miles. There are ${left} miles to go.`,
    };
  },
  ({ n, pick, a }) => {
    const [wage, hours, days, spent] = [n(9, 25), n(2, 8), n(2, 6), n(10, 90)];
    const perDay = multiply(wage, hours);
    const all = multiply(perDay.value, days);
    const left = subtract(all.value, spent);
    const job = pick(['bakery', 'garage', 'library', 'market', 'cinema']);
    return {
      question: `${a.name} works in a ${job} for $${wage} an hour, ${hours} hours a day. After ${days} days ${a.they} spends $${spent} of the pay on shoes. How many dollars are left?`,
      steps: [perDay, all, left],
      reasoning: `In a day ${a.name} earns ${perDay} dollars. In ${days} days it is ${all} dollars. There are ${left} dollars left.`,
    };
  },
  ({ n, pick, a, box }) => {
    const [trays, each, per] = [n(2, 12), n(4, 18), n(3, 12)];
    const all = multiply(trays, each);
    const full = divide(all.value, per);
    const food = pick(['muffins', 'rolls', 'pretzels', 'scones', 'dumplings']);
    return {
      question: `${a.name} bakes ${trays} trays of ${food}, with ${each} ${food} on every tray. Then ${a.they} packs them into ${box} of ${per}. How many ${box} does ${a.they} fill?`,
      steps: [all, full],
      reasoning: `${a.name} bakes ${all} ${food}. They fill ${full} ${box}.`,
    };
  },
  ({ n, pick, a }) => {
    const [cost, saved, weekly] = [n(60, 300), n(5, 80), n(4, 25)];
    const missing = subtract(cost, saved);
    const weeks = divide(missing.value, weekly);
    const goal = pick(['bicycle', 'guitar', 'tent', 'camera', 'telescope']);
    return {
      question: `${a.name} wants to buy a ${goal} that costs $${cost}. ${capital(a.they)} has $${saved} already and puts $${weekly} aside every week. After how many weeks can ${a.they} buy the ${goal}?`,
      steps: [missing, weeks],
      reasoning: `${a.name} still needs ${missing} dollars. That takes ${weeks} weeks.`,
    };
  },
  ({ n, a, b, c, thing }) => {
    const [count, given] = [n(12, 120), n(2, 25)];
    const half = divide(count, 2);
    const left = subtract(half.value, given);
    return {
      question: `${a.name} has a collection of ${count} ${thing}. ${capital(a.they)} gives half of them to ${b.name} and then ${given} more to ${c.name}. How many ${thing} does ${a.name} keep?`,
      steps: [half, left],
      reasoning: `After giving half away ${a.name} has ${half} ${thing}. ${capital(a.they)} keeps ${left} ${thing}.`,
    };
  },
  ({ n, a, b, thing }) => {
    const [count, times, more] = [n(3, 25), n(2, 6), n(2, 20)];
    const other = multiply(count, times);
    const all = add(count, other.value, more);
    return {
      question: `On Monday ${a.name} collects ${count} ${thing}, and ${b.name} collects ${times} times as many. On Tuesday they find ${more} more. How many ${thing} do they have together?`,
      steps: [other, all],
      reasoning: `On Monday ${b.name} collects ${other} ${thing}. Together they have ${all} ${thing}.`,
    };
  },
  ({ n, pick, a }) => {
    const [rows, seats, taken, late] = [n(4, 15), n(5, 15), n(6, 60), n(2, 20)];
    const all = multiply(rows, seats);
    const used = add(taken, late);
    const free = subtract(all.value, used.value);
    const room = pick(['cinema', 'theater', 'lecture hall', 'concert hall']);
    return {
      question: `A ${room} has ${rows} rows of ${seats} seats. ${a.name} counts ${taken} guests at the start, and ${late} more come late. How many seats stay free?`,
      steps: [all, used, free],
      reasoning: `There are ${all} seats. The guests take ${used} seats. So ${free} seats stay free.`,
    };
  },
  ({ n, a }) => {
    const [pages, daily, days, later] = [n(80, 400), n(8, 40), n(2, 8), n(5, 40)];
    const read = multiply(daily, days);
    const left = subtract(pages, read.value);
    const rest = divide(left.value, later);
    return {
      question: `${a.name}'s book has ${pages} pages. ${capital(a.they)} reads ${daily} pages a day for ${days} days, and from then on ${later} pages a day. How many more days does ${a.they} need?`,
      steps: [read, left, rest],
      reasoning: `In ${days} days ${a.name} reads ${read} pages. There are ${left} pages left. They take ${rest} days.`,
    };
  },
  ({ n, pick, a }) => {
    const [size, inflow, leak] = [n(40, 400), n(6, 30), n(2, 8)];
    const net = subtract(inflow, leak);
    const minutes = divide(size, net.value);
    const tank = pick(['tank', 'pool', 'barrel', 'pond']);
    return {
      question: `A ${tank} holds ${size} liters. ${a.name} fills it at ${inflow} liters a minute, but ${leak} liters a minute leak out. After how many minutes is the empty ${tank} full?`,
      steps: [net, minutes],
      reasoning: `The ${tank} gains ${net} liters a minute. It is full after ${minutes} minutes.`,
    };
  },
  ({ n, a }) => {
    const [hours, math, reading] = [n(2, 4), n(15, 75), n(15, 75)];
    const all = multiply(hours, 60);
    const used = add(math, reading);
    const left = subtract(all.value, used.value);
    return {
      question: `${a.name} has ${hours} hours before dinner. ${capital(a.they)} does math for ${math} minutes and reads for ${reading} minutes. How many minutes are left for ${a.their} friends?`,
      steps: [all, used, left],
      reasoning: `Before dinner there are ${all} minutes. Math and reading take ${used} minutes. That leaves ${left} minutes.`,
    };
  },
  ({ n, pick, a }) => {
    const [adults, adult, children, child] = [n(2, 6), n(8, 25), n(2, 9), n(3, 7)];
    const first = multiply(adults, adult);
    const second = multiply(children, child);
    const all = add(first.value, second.value);
    const place = pick(['zoo', 'museum', 'circus', 'aquarium', 'fair']);
    return {
      question: `At the ${place} a ticket costs $${adult} for an adult and $${child} for a child. ${a.name} buys tickets for ${adults} adults and ${children} children. How many dollars does ${a.they} pay?`,
      steps: [first, second, all],
      reasoning: `The adults cost ${first} dollars. The children cost ${second} dollars. ${a.name} pays ${all} dollars.`,
    };
  },
  ({ n, a }) => {
    const [morning, evening] = [n(2, 20), n(2, 20)];
    const daily = add(morning, evening);
    const weekly = multiply(daily.value, 7);
    return {
      question: `${a.name} walks the dog for ${morning} minutes every morning and for ${evening} minutes every evening. How many minutes does ${a.they} walk the dog in a week?`,
      steps: [daily, weekly],
      reasoning: `In a day ${a.name} walks ${daily} minutes. In a week that is ${weekly} minutes.`,
    };
  },
  ({ n, a }) => {
    const [dozens, cakes, per] = [n(2, 8), n(2, 8), n(2, 6)];
    const all = multiply(dozens, 12);
    const used = multiply(cakes, per);
    const left = subtract(all.value, used.value);
    return {
      question: `${a.name} buys ${dozens} dozen eggs for the school fair. ${capital(a.they)} bakes ${cakes} cakes, and every cake takes ${per} eggs. How many eggs are left?`,
      steps: [all, used, left],
      reasoning: `${a.name} buys ${all} eggs. The cakes take ${used} eggs. There are ${left} eggs left.`,
    };
  },
  ({ n, pick, a }) => {
    const [start, off, on, last] = [n(12, 60), n(3, 20), n(2, 20), n(2, 15)];
    const first = subtract(start, off);
    const second = add(first.value, on, last);
    const ride = pick(['bus', 'train', 'ferry', 'tram']);
    return {
      question: `${a.name}'s ${ride} leaves with ${start} passengers. At the first stop ${off} get off and ${on} get on. At the second stop ${last} more get on. How many passengers are there now?`,
      steps: [first, second],
      reasoning: `When ${off} get off, ${first} passengers stay. With the new ones there are ${second} passengers.`,
    };
  },
  ({ n, pick, a }) => {
    const [length, width, price] = [n(20, 45), n(3, 19), n(2, 9)];
    const side = add(length, width);
    const around = multiply(2, side.value);
    const cost = multiply(around.value, price);
    const ground = pick(['garden', 'field', 'yard', 'meadow']);
    return {
      question: `${a.name} fences in a ${ground} that is ${length} meters long and ${width} meters wide. A meter of fence costs $${price}. How many dollars does the whole fence cost?`,
      steps: [side, around, cost],
      reasoning: `Length and width make ${side} meters. The way around is ${around} meters. The fence costs ${cost} dollars.`,
    };
  },
];

/** Whole steps only, and none below 2: texts speak of apples and dollars, in the plural. @param {Problem} problem */
const fits = ({ steps }) => steps.every(({ value }) => Number.isInteger(value) && value >= 2);

// Draws that may fail in a row. The template that is hardest to fit takes 21 on average, so this many mean that it has
// no questions left.
const patience = 10_000;

/**
 * Rows without repeated questions, every template as often as any other.
 *
 * @param {number} count
 * @param {number} seed  whole number from 0 to 2^32 - 1
 * @param {Iterable<string>} avoid  questions not to be repeated
 * @returns {{ question: string, answer: string }[]}
 * @throws {Error} when the templates have no `count` questions to give
 */
export function makeWordProblems(count, seed, avoid = []) {
  const uniform = mulberry32(seed);
  /** @param {number} least @param {number} most */
  const n = (least, most) => least + Math.floor(uniform() * (most - least + 1));
  /** @template T @param {readonly T[]} list @returns {T} */
  const pick = (list) => /** @type {T} */ (list[n(0, list.length - 1)]);
  /** @param {(draw: Draw) => Problem} template */
  const drawFrom = (template) => {
    const a = pick(people);
    const b = pick(people.filter((person) => person !== a));
    const c = pick(people.filter((person) => person !== a && person !== b));
    return template({ n, pick, a, b, c, thing: pick(things), box: pick(containers) });
  };

  const seen = new Set(avoid);
  return Array.from({ length: count }, (_, row) => {
    const template = pick(templates);
    for (let draws = 0; draws < patience; draws++) {
      const problem = drawFrom(template);
      if (!fits(problem) || seen.has(problem.question)) continue;
      seen.add(problem.question);
      return { question: problem.question, answer: `${problem.reasoning}\n#### ${problem.steps.at(-1)?.value}` };
    }
    throw new Error(`no new question in ${patience} draws after ${row} of ${count} rows: ask for fewer rows`);
  });
}

/** @param {{ question: string, answer: string }[]} rows */
export const toJsonLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** @param {string} name @param {string | undefined} text @param {number} least @param {number} most */
function wholeNumber(name, text, least, most) {
  if (text === undefined) throw new Error(`--${name} is missing`);
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new Error(`--${name} is '${text}': give a whole number from ${least} to ${most}`);
}

/** @param {string} file */
function readQuestions(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, i) => {
    if (line === '') return [];
    const question = JSON.parse(line)?.question;
    if (typeof question !== 'string') throw new Error(`--avoid ${file}, line ${i + 1}: no "question" that is a text`);
    return [question];
  });
}

/** @param {string[]} args */
function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      count: { type: 'string' },
      seed: { type: 'string' },
      out: { type: 'string' },
      avoid: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(usage);
  const count = wholeNumber('count', values.count, 1, 100_000);
  const seed = wholeNumber('seed', values.seed, 0, 2 ** 32 - 1);
  if (values.out === undefined) throw new Error('--out is missing');
  const avoid = values.avoid === undefined ? [] : readQuestions(values.avoid);
  writeFileSync(values.out, toJsonLines(makeWordProblems(count, seed, avoid)));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exitCode = 1;
  }
}
