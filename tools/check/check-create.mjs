// `npm run check:create`: what `npm create glulam-plugin` gives, as a third party gets it. Packs every package, installs the
// tarballs into a temporary folder (no links to this workspace), makes a plugin of each role there by the installed
// command, builds it, runs its contract suite, and trains with it: by its name from the JSON config of its README, and as
// a value from the TypeScript config there. About a minute and a half on two cores.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inInstalledWorkspace, whyNotInstalled } from '../release/installed.mjs';
import { prepare, root } from '../prepare.mjs';

const model = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const words = ['one', 'two', 'three', 'four', 'five', 'six'];
const rows = words.map((word, i) => ({ question: `What is ${i} + 1?`, answer: word }));

/** Of each role: what the trained run must show, and what its config cannot name itself. */
const roles = {
  adapter: { shows: ({ started }) => started.trainableParameters === 8 * (64 + 64 + 512) },
  family: { shows: ({ started }) => started.physicalLayers === 8, base: baseOfFamily },
  expansion: { shows: ({ started }) => started.virtualLayers === 10 },
  engine: { shows: ({ started }) => started.engine.includes('SwiGLU of its own') },
  evaluator: {
    shows: ({ told, kind }) =>
      told('evaluation.finished').some(({ evaluator, scores }) => evaluator === kind && scores.accuracy >= 0),
  },
  format: {
    shows: ({ told, kind }) =>
      told('data.read').some(({ format, examples }) => format === kind && examples === rows.length),
    rows: rows.map(({ question, answer }) => ({ title: 'Answer.', body: question, reply: answer })),
  },
  reporter: { shows: ({ out }) => readFileSync(path.join(out, 'losses.csv'), 'utf8').split('\n').length === 2 + steps },
};
const steps = 2;

const seconds = (start) => `${((performance.now() - start) / 1000).toFixed(0)} s`;

/**
 * @param {string} home where all packages are installed
 * @returns {Promise<string[]>} a line for each role; throws an error with the output of what failed
 */
export async function checkCreate(home) {
  for (const name of ['plugins', 'runs']) mkdirSync(path.join(home, name));
  await openEngine(home);
  // Two at a time: most of each is one thread.
  const waiting = /** @type {(keyof typeof roles)[]} */ (Object.keys(roles));
  /** @type {string[]} */
  const lines = [];
  const worker = async () => {
    for (let role = waiting.shift(); role !== undefined; role = waiting.shift())
      lines.push(await checkRole(home, role));
  };
  await Promise.all([worker(), worker()]);
  await checkTypes(home);
  return lines;
}

/** Without its platform's package, the engine's first use compiles it. Files that this repository has compiled are taken from it. */
async function openEngine(home) {
  const compiled = path.join(root, 'plugins/engine-native/build/objects');
  cpSync(compiled, path.join(home, 'node_modules/@glulam/engine-native/build/objects'), { recursive: true });
  const told = await run(programOf(home, 'glulam'), ['doctor'], home);
  if (!/plain; \d+ thread/.test(told)) throw new Error(`glulam doctor did not open the native engine:\n${told}`);
}

/** @param {string} home @param {keyof typeof roles} role */
async function checkRole(home, role) {
  const start = performance.now();
  const name = `glulam-plugin-${role}-try-out`;
  const folder = path.join(home, 'plugins', role);
  const create = ['--role', role, '--name', 'try-out', '--dir', folder, '--yes'];
  await run(programOf(home, 'create-glulam-plugin'), create, home);
  // What `npm install PLUGIN` would do; its own dependencies are all there.
  symlinkSync(path.relative(path.join(home, 'node_modules'), folder), path.join(home, 'node_modules', name));
  await run('npm', ['run', 'build'], folder);
  const tested = await run('npm', ['test'], folder);
  const configs = configsOf(readFileSync(path.join(folder, 'README.md'), 'utf8'));
  for (const [ending, text] of Object.entries(configs)) {
    write(home, `${role}.config.${ending}`, text);
    const out = path.join(home, 'runs', `${role}-${ending}`);
    const words = ['train', `${role}.config.${ending}`, ...overrides(home, role, configs.json), '--out', out];
    await run(programOf(home, 'glulam'), words, home);
    const events = readFileSync(path.join(out, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const told = (type) => events.filter((event) => event.type === type);
    const [started] = told('run.started');
    if (told('step.finished').length !== steps || !roles[role].shows({ started, told, out, kind: 'try_out' }))
      throw new Error(`${role}, ${ending}: the run does not show the plugin:\n${JSON.stringify(events, null, 2)}`);
  }
  return `${name.padEnd(36)}${/Tests .*?(\d+) passed/.exec(tested)?.[1] ?? '?'} tests, ${seconds(start)}`;
}

/** The JSON and the TypeScript config that a README shows. @param {string} text */
function configsOf(text) {
  const block = (language) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
  return { json: block('json'), ts: block('ts') };
}

/** Places of this machine for those that the README makes up. */
function overrides(home, role, json) {
  const { base = () => model, rows: given = rows } = roles[role];
  const { data } = JSON.parse(json);
  const file = path.join(home, `${role}.jsonl`);
  writeFileSync(file, given.map((row) => JSON.stringify(row)).join('\n'));
  const option = typeof data.train === 'string' ? '--data.train' : '--data.train.file';
  return [
    ...['--base', base(home), option, file, '--train.steps', String(steps), '--train.batch', '2'],
    ...(data.heldOut === undefined ? [] : ['--data.heldOut', file]),
  ];
}

function baseOfFamily(home) {
  const folder = path.join(home, 'base');
  if (existsSync(folder)) return folder;
  cpSync(model, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"model_type": "mistral"', '"model_type": "try_out"'));
  return folder;
}

/** The compiler takes the TypeScript configs, and the options of the plugins' kinds are known to it. */
async function checkTypes(home) {
  const compilerOptions = {
    module: 'NodeNext',
    target: 'ES2023',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  };
  write(home, 'tsconfig.json', { compilerOptions, include: ['*.ts'] });
  const tsc = programOf(home, 'tsc');
  await run(tsc, ['-p', '.'], home);
  const misspelt = readFileSync(path.join(home, 'expansion.config.ts'), 'utf8').replace('start:', 'strat:');
  write(home, 'misspelt.config.ts', misspelt);
  const fault = await run(tsc, ['-p', '.'], home).then(
    () => undefined,
    (error) => error.message,
  );
  if (!fault?.includes("'strat' does not exist"))
    throw new Error(`a misspelt option of a plugin is no type error:\n${fault ?? misspelt}`);
}

/** @param {string} home @param {string} name @param {string | object} content */
function write(home, name, content) {
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`;
  writeFileSync(path.join(home, name), text);
}

/** What `npx NAME` starts, without npm's own start each time. @param {string} home @param {string} name */
const programOf = (home, name) => path.join(home, 'node_modules/.bin', name);

/** Its output, or an error with it. @param {string} command @param {string[]} args @param {string} cwd @returns {Promise<string>} */
function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, GLULAM_CACHE: path.join(cwd, '.cache'), NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => void (text += chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve(text)
        : reject(new Error(`${[command, ...args].join(' ')} in ${cwd} ended with ${code}:\n${text}`)),
    );
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  prepare();
  try {
    const lines = await inInstalledWorkspace(checkCreate);
    console.log([...lines, `${lines.length} roles: built, tested, used by name and as a value`].join('\n'));
  } catch (error) {
    const why = whyNotInstalled(error);
    if (why === undefined) throw error;
    console.log(`skipped: ${why}`);
  }
}
