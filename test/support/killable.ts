import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const cli = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');
const points = pathToFileURL(path.join(import.meta.dirname, 'kill-points.mjs')).href;

export interface Ended {
  /** null where it was killed. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly errors: string;
}

export interface KillableOptions {
  /** The point at which the process kills itself: see kill-points.mjs. */
  readonly killAt?: string | number | undefined;
  /** A file that gets a line for each point. */
  readonly points?: string;
  /** Another program with the words before the command's. */
  readonly wrap?: readonly string[];
}

/** The built command line in a process of its own, as it is killed in real life. */
export function glulam(
  args: readonly string[],
  { killAt, points: list, wrap = [] }: KillableOptions = {},
): Promise<Ended> {
  return new Promise((done, fail) => {
    const preload = killAt === undefined && list === undefined ? [] : ['--import', points];
    const [program, ...rest] = [...wrap, process.execPath, ...preload, cli, ...args];
    const child = spawn(program!, rest, {
      cwd: mkdtempSync(path.join(tmpdir(), 'glulam-killed-')),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...(killAt === undefined ? {} : { GLULAM_KILL_AT: String(killAt) }),
        ...(list === undefined ? {} : { GLULAM_POINTS: list }),
      },
    });
    const texts = { out: '', errors: '' };
    child.stdout.on('data', (text: Buffer) => (texts.out += text.toString()));
    child.stderr.on('data', (text: Buffer) => (texts.errors += text.toString()));
    child.on('error', fail);
    child.on('close', (code, signal) => done({ code, signal, ...texts }));
  });
}

/** What `glulam` gives of a process that was killed at its point; anything else is a failure of the test. */
export const killed = { code: null, signal: 'SIGKILL' } as const;

/** The points of a command that was given `points: file`, in order. */
export const pointsIn = (file: string): string[] => readFileSync(file, 'utf8').trim().split('\n');
