// Runs commands of the built command line, one after another, in one process: see cli.ts. Each finds its own folder,
// environment and input, and what it prints goes back to the test.
import { Readable, Writable } from 'node:stream';

const texts = { out: '', err: '' };
/** @param {'out' | 'err'} name */
const into = (name) =>
  new Writable({
    write(chunk, _, done) {
      texts[name] += chunk;
      done();
    },
  });
Object.defineProperty(process, 'stdout', { value: into('out') });
Object.defineProperty(process, 'stderr', { value: into('err') });
// After this: what prints holds on to the streams.
const { main } = await import('../../packages/glulam/dist/index.js');

process.on('message', async ({ words, cwd, env, input }) => {
  Object.assign(texts, { out: '', err: '' });
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true });
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  process.send?.({ code: await main(words), ...texts });
});
process.send?.('ready');
