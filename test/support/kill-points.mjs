// Preloaded by tests into a command that they kill (`node --import`, see killable.ts). The process ends itself by SIGKILL at
// the point that GLULAM_KILL_AT names, so a kill falls where a test says and not where a timer happens to fire. GLULAM_POINTS
// names a file that gets a line for each point.
//
// A point is `VERB PLACE`. `make`, `open`, `rename` and `remove` come before a folder is made, a file is opened to be
// written, a file or folder gets the name PLACE, and PLACE is removed. `renamed` and `wrote` come after. PLACE is the end of a
// path, where `*` stands for any part of a name, and a temporary name has no process: `.state.json.tmp`. `PLACE#2` is the
// second time. After `wrote PLACE` there may be a regular expression for the text. A number instead is that line of
// GLULAM_POINTS, which has the points of the main thread, and one that is repeated at once only once.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const { GLULAM_KILL_AT: wanted, GLULAM_POINTS: list } = process.env;
const [, verbWanted, place = '', times = '1', text = ''] =
  /^(\S+) ([^\s#]+)(?:#(\d+))?(?: (.*))?$/.exec(wanted ?? '') ?? [];
const placeWanted = new RegExp(`(^|/)${place.replace(/[.+]/g, '\\$&').replaceAll('*', '[^/]*')}$`);
const textWanted = new RegExp(text);
const { appendFileSync, constants, promises } = fs;
let count = 0;
let last = '';
let left = Number(times);
let isListing = false;

/** @param {string} verb @param {unknown} place @param {() => string} [read] the text that was written */
function point(verb, place, read = () => '') {
  if (typeof place !== 'string' || isListing) return;
  const name = place.replaceAll(/(^|\/)\.([^/]+)\.\d+-[0-9a-f]{8}\.tmp/g, '$1.$2.tmp');
  const isNew = isMainThread && last !== `${verb} ${name}`;
  last = `${verb} ${name}`;
  if (isNew) count += 1;
  if (isNew && list !== undefined) {
    isListing = true; // which opens and writes a file itself
    appendFileSync(list, `${last}\n`);
    isListing = false;
  }
  const isNamed = verb === verbWanted && placeWanted.test(name) && textWanted.test(read());
  if (isNamed) left -= 1;
  if (left === 0 || (isNew && String(count) === wanted)) process.kill(process.pid, 'SIGKILL');
}

/** @param {unknown} flags */
const isToWrite = (flags) =>
  typeof flags === 'number'
    ? (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0
    : !/^r[s]?$/.test(String(flags ?? 'r'));

/** @param {unknown} data */
const textOf = (data) => () =>
  typeof data === 'string' ? data : data instanceof Uint8Array ? Buffer.from(data).toString() : '';

/**
 * Puts points around a function of `fs` and its namesake of `fs.promises`.
 *
 * @param {string} name @param {(args: any[]) => void} before @param {(args: any[], result: any) => void} [after]
 */
function around(name, before, after = () => {}) {
  const [later, now] = [promises[name], fs[`${name}Sync`]];
  promises[name] = async (...args) => {
    before(args);
    const result = await later.apply(promises, args);
    after(args, result);
    return result;
  };
  fs[`${name}Sync`] = (...args) => {
    before(args);
    const result = now.apply(fs, args);
    after(args, result);
    return result;
  };
}

/** Files that are open to be written, by their number. @type {Map<number, string>} */
const open = new Map();
around('mkdir', ([folder]) => point('make', folder));
around(
  'rename',
  ([, to]) => point('rename', to),
  ([, to]) => point('renamed', to),
);
around('rm', ([place]) => point('remove', place));
around('writeFile', ([file]) => point('open', file));
around(
  'appendFile',
  ([file]) => point('open', file),
  ([file, data]) => point('wrote', file, textOf(data)),
);
around(
  'open',
  ([file, flags]) => {
    if (isToWrite(flags)) point('open', file);
  },
  ([file, flags], opened) => {
    if (!isToWrite(flags)) return;
    if (typeof opened === 'number') return void open.set(opened, file);
    for (const name of ['write', 'writeFile']) {
      const write = opened[name].bind(opened);
      opened[name] = async (...args) => {
        const result = await write(...args);
        point('wrote', file, textOf(args[0]));
        return result;
      };
    }
  },
);
const { writeSync } = fs;
fs.writeSync = (file, data, ...rest) => {
  const result = writeSync(file, data, ...rest);
  point('wrote', open.get(file), textOf(data));
  return result;
};
syncBuiltinESMExports();
