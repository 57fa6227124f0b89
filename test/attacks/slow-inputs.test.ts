import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { run, type RunEvent } from 'glulam';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const bin = path.join(root, 'packages/glulam/bin/glulam.js');
const base = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const folder = mkdtempSync(path.join(tmpdir(), 'glulam-slow-'));
const many = path.join(folder, 'many');
mkdirSync(many);
const files = 600;
for (let i = 0; i < files; i++)
  writeFileSync(
    path.join(many, `${String(i).padStart(4, '0')}.jsonl`),
    `{"question":"What is ${i} + 1?","answer":"${i + 1}","note":"no"}\n{"question":"What?","answer":""}\n`,
  );
const config = (train: string): string => {
  const file = path.join(mkdtempSync(path.join(folder, 'config-')), 'glulam.json');
  writeFileSync(file, JSON.stringify({ base, data: { train }, out: path.join(path.dirname(file), 'run') }));
  return file;
};

test('hundreds of files need no more open files than a process may have; a line says what they come to', () => {
  const words = [
    '-c',
    'ulimit -n 400; exec "$@"',
    'bash',
    process.execPath,
    bin,
    'data',
    config(many),
    '--samples',
    '1',
  ];
  for (const when of ['first', 'from the cache']) {
    const { status, stdout, stderr } = spawnSync('bash', words, { encoding: 'utf8' });
    expect(stderr, when).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^600 files, .*0000\.jsonl to .*0599\.jsonl .*: training, read as question_answer$/m);
    expect(stdout).toMatch(/^ {2}1,200 rows, 600 of them left out$/m);
    expect(stdout).toMatch(/^ {4}600 rows: the answer is empty$/m);
    expect(stdout.split('\n').length).toBeLessThan(40);
  }
});

test('a run on them tells how far the reading is, prints a line of each kind, and has each file in its events', async () => {
  const said: RunEvent[] = [];
  const { stdout } = spawnSync(process.execPath, [bin, 'train', config(many), '--train.steps', '1'], {
    encoding: 'utf8',
  });
  expect(stdout).toMatch(
    /^training data of 600 files \(.*0000\.jsonl \.\.\. .*0599\.jsonl\): 1,200 rows, 600 examples/m,
  );
  expect(stdout.match(/left out/g)).toHaveLength(1);
  expect(stdout).toContain("each of these files is in the run folder's events.jsonl");
  expect(stdout.split('\n').length).toBeLessThan(20);
  process.env['GLULAM_CACHE'] = path.join(folder, 'cache');
  await run(config(many), { overrides: { 'train.steps': 1 }, onEvent: (event) => void said.push(event) });
  expect(said.filter(({ type }) => type === 'data.read')).toHaveLength(files);
  const reading = said.find((event) => event.type === 'data.reading');
  expect(reading).toMatchObject({ among: { of: files } });
});

test.each(['long.jsonl', 'long.jsonl.gz'])(
  'Ctrl-C ends the reading of a long row within a second: %s',
  async (name) => {
    const file = path.join(folder, name);
    const row = JSON.stringify({ text: 'the quick brown fox '.repeat(700_000) });
    writeFileSync(file, name.endsWith('.gz') ? gzipSync(row) : row);
    const cache = path.join(folder, `cache-${name}`);
    const words = [bin, 'data', config(file), '--data.cache', cache];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const ended = new Promise((done) => child.on('exit', done));
    // It is being tokenized once its store is begun.
    await expect.poll(() => existsSync(cache), { timeout: 120_000 }).toBe(true);
    await new Promise((done) => setTimeout(done, 1000));
    expect(child.exitCode).toBe(null);
    const asked = performance.now();
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(performance.now() - asked).toBeLessThan(2000);
  },
);
