// Where, when and with what something was measured: one paragraph of Markdown.
import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { root } from '../../prepare.mjs';
import { processorModel } from './processor.mjs';

/** @param {string[]} versions what was measured besides Node, such as the engine's own description */
export function describeRun(versions) {
  const commit = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' });
  return [
    `${new Date().toISOString().slice(0, 10)}, on ${processorModel()}, ${cpus().length} cores, ${(totalmem() / 1e9).toFixed(1)} GB of memory, ${type()} ${release()};`,
    `Node ${process.versions.node}${commit.status === 0 ? `, Glulam ${commit.stdout.trim()}` : ''}, ${versions.join(', ')}.`,
  ].join('\n');
}
