import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll } from 'vitest';

const bin = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');

/** Milliseconds after which a command is killed. */
const patience = 240_000;

export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
export interface CommandOptions {
  readonly cwd: string;
  /** Default: that of the tests. */
  readonly env?: NodeJS.ProcessEnv;
  /** On stdin, as from a pipe. */
  readonly input?: string;
}

/** The built command line in a process of its own, as users run it. */
export function runAlone(
  words: readonly string[],
  { cwd, env = process.env, input = '' }: CommandOptions,
): Promise<Printed> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [bin, ...words],
      { cwd, env, timeout: patience, killSignal: 'SIGKILL' },
      (error, out, err) => done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
    child.stdin!.on('error', () => undefined); // one that reads nothing may be gone
    child.stdin!.end(input);
  });
}

let host: Promise<ChildProcess> | undefined;
let last: Promise<unknown> = Promise.resolve();

/**
 * The built command line, in the process that the commands of a file of tests share: most of a short command's time is the
 * loading of a thousand modules. What depends on the process (signals, an idle end, modules that are loaded anew) needs
 * `runAlone`.
 */
export function runShared(words: readonly string[], options: CommandOptions): Promise<Printed> {
  const result = last.then(() => send(words, options));
  last = result.catch(() => undefined);
  return result;
}

async function send(
  words: readonly string[],
  { cwd, env = process.env, input = '' }: CommandOptions,
): Promise<Printed> {
  const child = await (host ??= start());
  return new Promise((done, fail) => {
    // One that waits for ever ends, and the commands after it get another process.
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    const onExit = (code: number | null, signal: string | null): void => {
      clearTimeout(timer);
      host = undefined;
      fail(new Error(`glulam ${words.join(' ')} ended the process that it shares, with ${signal ?? code}`));
    };
    child.once('exit', onExit);
    child.once('message', (printed: Printed) => {
      clearTimeout(timer);
      child.off('exit', onExit);
      done(printed);
    });
    child.send({ words, cwd, env, input });
  });
}

async function start(): Promise<ChildProcess> {
  // Without the options of vitest's own process: among them, that packages are read as sources.
  const child = fork(path.join(import.meta.dirname, 'cli-host.mjs'), { execArgv: [], stdio: 'inherit' });
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('cli-host.mjs did not begin, see above')));
  await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => undefined);
  return child;
}
afterAll(async () => (await host)?.kill());
