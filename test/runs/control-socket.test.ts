import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { createConnection, createServer } from 'node:net';
import { promisify } from 'node:util';
import { addressOfOwner } from '@glulam/files';
import { askRun, events, train, type ControlReply, type ControlRequest, type RunEvent } from '@glulam/trainer';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { eventsOf, lossesByStep, tinyRun } from '../support/tiny.js';

const glulam = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');
const settings = { train: { steps: 6, batch: 2 }, evaluate: { every: 0 }, checkpoint: { every: 0 } };

const statusOf = (folder: string): ControlReply => ({
  status: { run: 'r', folder, pid: 1, state: 'training', step: 1 },
});

const repliesOf = async (folder: string, ask: ControlRequest): Promise<ControlReply[]> => {
  const replies: ControlReply[] = [];
  for await (const reply of askRun(folder, ask)) replies.push(reply);
  return replies;
};

/** Trains, and begins `then` after the step of this number; what it gives is awaited beside the run. */
async function trainAnd<T>(run: ReturnType<typeof tinyRun>, at: number, then: (folder: string) => Promise<T>) {
  let asked: Promise<T> | undefined;
  run.composition.get(events).listen('test', (all) =>
    all.pipe(
      tap((event: RunEvent) => {
        if (event.type === 'step.finished' && event.step === at) asked = then(run.out);
      }),
    ),
  );
  const result = await train(run.config, run.composition);
  return { result, asked: await asked };
}

describe('the control socket of a run', () => {
  test('says where the run stands, and changes nothing', async () => {
    const plain = tinyRun(settings);
    await train(plain.config, plain.composition);
    const run = tinyRun(settings);
    const { asked } = await trainAnd(run, 2, (folder) => repliesOf(folder, 'status'));
    const id = eventsOf(run.out)[0]!.run;
    expect(asked).toEqual([
      {
        status: {
          ...{ run: id, folder: run.out, pid: process.pid, steps: 6, state: 'training' },
          ...{ step: expect.any(Number), loss: expect.any(Number), tokensPerSecond: expect.any(Number) },
        },
      },
    ]);
    expect(lossesByStep(run.out)).toEqual(lossesByStep(plain.out));
  });

  test('evaluates and saves on request; the losses are the same bit for bit', async () => {
    const plain = tinyRun(settings);
    await train(plain.config, plain.composition);
    const run = tinyRun(settings);
    const { asked } = await trainAnd(run, 2, (folder) =>
      Promise.all([repliesOf(folder, 'evaluate'), repliesOf(folder, 'checkpoint')]),
    );
    const [evaluated, saved] = asked!;
    const { evaluation } = evaluated[1] as Extract<ControlReply, { evaluation: unknown }>;
    expect(evaluation.step).toBeGreaterThan(1);
    expect(evaluation.step).toBeLessThan(6);
    expect(evaluation.scores).toMatchObject({ loss: { loss: expect.any(Number), perplexity: expect.any(Number) } });
    const { checkpoint } = saved[1] as Extract<ControlReply, { checkpoint: unknown }>;
    expect(existsSync(path.join(checkpoint.folder, 'adapter'))).toBe(true);
    expect(lossesByStep(run.out)).toEqual(lossesByStep(plain.out));
    expect(
      eventsOf(run.out).filter((event) => event.type === 'evaluation.finished' && event.step === evaluation.step),
    ).toHaveLength(1);
  });

  test('stops the run as Ctrl-C does, and it is resumed to the same losses', async () => {
    const plain = tinyRun(settings);
    await train(plain.config, plain.composition);
    const run = tinyRun(settings);
    const { result, asked } = await trainAnd(run, 2, (folder) => repliesOf(folder, 'stop'));
    expect(asked!.at(-1)).toEqual({ stopped: { step: result.steps, reason: 'by glulam control' } });
    expect(result.steps).toBeLessThan(6);
    const again = tinyRun({ ...settings, out: run.out });
    await train(again.config, again.composition, { resume: true });
    expect(lossesByStep(run.out)).toEqual(lossesByStep(plain.out));
  });

  test('tells who waits that the run ended first, and is gone with it', async () => {
    const run = tinyRun(settings);
    let address: string | undefined;
    const { asked } = await trainAnd(run, 6, async (folder) => {
      address = (await addressOfOwner(folder))!.address;
      expect(statSync(path.dirname(address!)).mode & 0o777).toBe(0o700);
      return repliesOf(folder, 'evaluate').then(
        () => 'done',
        (error: unknown) => error,
      );
    });
    // An evaluation at the last step may still have been made for it.
    if (asked !== 'done') expect(asked).toMatchObject({ code: 'RUN_NOT_ACTIVE' });
    expect(existsSync(path.dirname(address!))).toBe(false);
    await expect(repliesOf(run.out, 'status')).rejects.toMatchObject({
      code: 'RUN_NOT_ACTIVE',
      message: expect.stringMatching(/no process trains in .* now; resume it with glulam train .* --resume/) as string,
    });
  });

  test('two runs of one process have one each', async () => {
    const [first, second] = [tinyRun(settings), tinyRun(settings)];
    const both = await Promise.all(
      [first, second].map((run) => trainAnd(run, 1, (folder) => repliesOf(folder, 'status'))),
    );
    const folders = both.map(({ asked }) => (asked![0] as { status: { folder: string } }).status.folder);
    expect(folders).toEqual([first.out, second.out]);
  });

  test('is not hurt by what is no request', async () => {
    const run = tinyRun(settings);
    const say = (address: string, text: string) =>
      new Promise<string>((done, fail) => {
        let reply = '';
        const socket = createConnection(address, () => socket.write(text));
        socket.on('data', (chunk) => (reply += chunk.toString()));
        socket.on('close', () => done(reply));
        socket.on('error', fail);
      });
    const { result, asked } = await trainAnd(run, 1, async (folder) => {
      const { address } = (await addressOfOwner(folder))!;
      // One that says nothing, and one that goes away at once.
      createConnection(address!).unref();
      const gone = createConnection(address!, () => gone.destroy());
      return Promise.all(
        ['hello\n', '{"ask":"everything"}\n', '{"ask":"stop","now":1}\n', `${'x'.repeat(5000)}`].map((text) =>
          say(address!, text),
        ),
      );
    });
    expect(asked!.map((reply) => JSON.parse(reply) as object)).toEqual([
      { error: 'expected a line such as {"ask":"status"}, got "hello"' },
      { error: expect.stringContaining('{\\"ask\\":\\"everything\\"}') as string },
      { error: expect.stringContaining('now') as string },
      { error: 'expected a request of at most 1024 bytes' },
    ]);
    expect(result.stopped).toBeUndefined();
  });

  test('an address that no run of this user made is not asked', async () => {
    const folder = tinyRun(settings).out;
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'config.json'), '{}');
    const started = readFileSync(`/proc/${process.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19];
    for (const address of ['/run/docker.sock', path.join(tmpdir(), 'glulam-control-abcdef/run.sock'), 'run.sock']) {
      writeFileSync(
        path.join(folder, 'lock.1'),
        JSON.stringify({ pid: process.pid, host: hostname(), started, address }),
      );
      await expect(repliesOf(folder, 'stop'), address).rejects.toThrow(/its address is not one of this user/);
    }
  });

  test.each([
    ['what is no JSON', 'hello\n', /it replied hello, which this version of Glulam does not know/],
    ['another run’s status', `${JSON.stringify(statusOf('/gone/run'))}\n`, /another run, in \/gone\/run, answers/],
    ['a line without end', 'x'.repeat(2 ** 20 + 9), /its reply is longer than 1048576 bytes/],
    ['nothing', '', undefined],
  ])('a server that replies with %s is no run', async (_, reply, message) => {
    const folder = tinyRun(settings).out;
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'config.json'), '{}');
    // Another temporary folder than this process has.
    const own = path.join(mkdtempSync(path.join(tmpdir(), 'elsewhere-')), 'glulam-control-abcdef');
    mkdirSync(own, { mode: 0o700 });
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      // What is not read keeps a connection open.
      socket.resume();
      socket.end(reply);
    });
    await new Promise<void>((done) => server.listen(path.join(own, 'run.sock'), done));
    const started = readFileSync(`/proc/${process.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19];
    writeFileSync(
      path.join(folder, 'lock.1'),
      JSON.stringify({ pid: process.pid, host: hostname(), started, address: path.join(own, 'run.sock') }),
    );
    if (message === undefined) expect(await repliesOf(folder, 'status')).toEqual([]);
    else await expect(repliesOf(folder, 'status')).rejects.toThrow(message);
    await new Promise((done) => server.close(done));
  });

  test('a run without one trains all the same, and says why', async () => {
    const run = tinyRun(settings);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = path.join(path.dirname(run.out), 'long'.repeat(30));
    try {
      await train(run.config, run.composition);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    expect([...lossesByStep(run.out).keys()]).toHaveLength(6);
    const warnings = eventsOf(run.out).flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(warnings.join()).toMatch(/the run has no control socket \(.*\): glulam control cannot ask it/);
  });
});

describe('glulam control', { timeout: 120_000 }, () => {
  const run = promisify(execFile);
  const control = (...words: string[]) => run(process.execPath, [glulam, 'control', ...words]);

  test('asks a run of another process, and the run does it', async () => {
    const { out, config } = tinyRun({ ...settings, train: { steps: 100_000, batch: 1 }, reporters: [] });
    const file = path.join(path.dirname(out), 'run.config.json');
    writeFileSync(file, JSON.stringify({ ...config, reporters: [] }));
    const child = spawn(process.execPath, [glulam, 'train', file], { stdio: 'ignore' });
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    try {
      while (
        !existsSync(path.join(out, 'events.jsonl')) ||
        !readFileSync(path.join(out, 'events.jsonl'), 'utf8').includes('step.finished')
      )
        await new Promise((done) => setTimeout(done, 50));
      expect((await control(out)).stdout).toMatch(
        new RegExp(`^training, step \\d+ of 100000, loss [\\d.]+, [\\d,]+ tokens/s \\(process ${child.pid}\\)\n$`),
      );
      expect((await control(out, 'checkpoint')).stdout).toMatch(
        /asked it to checkpoint\ncheckpoint of step \d+: .*checkpoints/,
      );
      const lines = (await control(out, 'evaluate', '--json')).stdout.trim().split('\n');
      expect(lines.map((line) => Object.keys(JSON.parse(line) as object)[0])).toEqual(['status', 'evaluation']);
      expect((await control(out, 'stop')).stdout).toMatch(
        /asked it to stop\nstopped after step \d+, with a checkpoint\n$/,
      );
      expect(await ended).toBe(0);
      const late = (await control(out, 'stop').catch((error: unknown) => error)) as { code: number; stderr: string };
      expect(late.code).toBe(1);
      expect(late.stderr).toMatch(/no process trains in .* now; resume it/);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('a killed run is nobody, whatever its lock says', async () => {
    const { out, config } = tinyRun({ ...settings, train: { steps: 100_000, batch: 1 }, reporters: [] });
    const file = path.join(path.dirname(out), 'run.config.json');
    writeFileSync(file, JSON.stringify({ ...config, reporters: [] }));
    const child = spawn(process.execPath, [glulam, 'train', file], { stdio: 'ignore' });
    const ended = new Promise((done) => child.once('exit', done));
    while (!existsSync(path.join(out, 'config.json')) || (await addressOfOwner(out)) === undefined)
      await new Promise((done) => setTimeout(done, 20));
    child.kill('SIGKILL');
    await ended;
    await expect(repliesOf(out, 'status')).rejects.toMatchObject({ code: 'RUN_NOT_ACTIVE' });
  });

  test.each([
    ['no run', [], /takes a RUN and what to ask it, got 0 words/],
    ['a word that is no request', ['runs/x', 'pause'], /cannot be asked for "pause"; it can be asked for status, stop/],
    ['one that is misspelt', ['runs/x', 'evalute'], /cannot be asked for "evalute"; did you mean "evaluate"\?$/m],
    ['a folder without a run', [path.dirname(glulam)], /is no run folder/],
    ['an option', ['runs/x', '--wait'], /has no option --wait/],
  ])('%s is refused', async (_, words, message) => {
    const failed = (await control(...words).catch((error: unknown) => error)) as { code: number; stderr: string };
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(message);
  });
});
