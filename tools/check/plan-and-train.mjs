// Trains by a config in a process of its own, whose anonymous memory is looked at from outside, beside what the plan of the
// run foretold. Linux only: such memory is read from /proc.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

if (process.argv[1] === import.meta.filename) await inThisProcess(JSON.parse(process.argv[2]));

async function inThisProcess(config) {
  const { plan, run } = await import('glulam');
  const { bytes, batch } = await plan(config);
  const steps = [];
  await run(config, {
    onEvent: (event) => {
      if (event.type === 'step.finished') steps.push({ tokens: event.tokens, tokensPerSecond: event.tokensPerSecond });
    },
  });
  console.log(JSON.stringify({ planned: bytes.peak, tokens: batch.tokens, steps }));
}

/**
 * @param {import('glulam').GlulamConfig} config
 * @param {{ watched?: boolean }} [how] looking costs the run some of its speed: what is timed is not watched
 * @returns {Promise<{ planned: number, measured: number, tokens: number, steps: { tokens: number, tokensPerSecond: number }[] }>}
 *   peaks in bytes, `measured` 0 where nobody looked; `tokens` of the largest batch
 */
export function planAndTrain(config, { watched = true } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(config)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    let measured = 0;
    child.stdout.on('data', (text) => (printed += text));
    const look = () => {
      // Its first and last moments have no such line.
      const file = `/proc/${child.pid}/status`;
      const line = existsSync(file) && /RssAnon:\s+(\d+) kB/.exec(readFileSync(file, 'utf8'));
      if (line) measured = Math.max(measured, Number(line[1]) * 1024);
    };
    const timer = watched ? setInterval(look, 2) : undefined;
    child.on('close', (code) => {
      clearInterval(timer);
      if (code === 0) done({ ...JSON.parse(printed), measured });
      else fail(new Error(`a run ended with ${code}`));
    });
  });
}

/** What is asked of plans: a peak within 10% or 50 MB of the measured one. */
export const isForetold = ({ planned, measured }) => Math.abs(planned - measured) <= Math.max(0.1 * measured, 50e6);
