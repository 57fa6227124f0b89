import type { AblationRun } from '@glulam/ablation';
import { formatBytes } from '@glulam/trainer';
import { ablate } from './ablate.js';
import { progressLine } from '../../cli/progress-line.js';
import { configHelp, type Command } from '../../cli/command.js';
import { findResumable } from '../../runs/load-resumable.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

export const ablateCommand: Command = {
  name: 'ablate',
  summary: 'train and score variants of a config alike, and report on them',
  help: `glulam ablate CONFIG [options]
glulam ablate CONFIG|ABLATION --resume

CONFIG is a config as for glulam train, with what is compared under "ablation": variants, each with an expansion and an
adapter of its own, and seeds. Without variants these are four: the base, the base expanded, and the config's adapter on
both, with ranks that train as many parameters on either. All have the same data, in the same order. The folder (out) gets
a run folder a variant and seed, report.md and report.html. Ctrl-C ends the run that is under way after its step, with a
checkpoint; twice, at once.

  --out FOLDER      the ablation's folder (default: the config's, or runs/latest)
  --resume          go on where the ablation stopped: what is finished is not done again
  --ablation.seeds '[0,1,2]'
                    train each variant once a seed
${configHelp}`,
  async run(args, signal) {
    const { config, ...given } = findResumable(args, 'ablate', 'ablation');
    const { show, clear } = progressLine(stderr);
    const say = (line: string): void => {
      clear();
      stdout.tell(`${line}\n`);
    };
    const result = await ablate(config, {
      ...given,
      signal,
      console: true,
      onFault: terminalNotices().onFault,
      onRun: (run) => say(describeRun(run)),
      onFetch: ({ name: input, bytes, totalBytes }) =>
        show(`${input}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} here`),
    });
    if (result.stopped) {
      say(`\nthe ablation is not finished; go on with it: glulam ablate ${result.folder} --resume`);
      return;
    }
    say(['', ...result.findings, ...result.reports.map((file) => `report: ${file}`)].join('\n'));
  },
};

function describeRun({ number, of, variant, seed, isFinished }: AblationRun): string {
  const run = `run ${number} of ${of}: ${variant}, seed ${seed}`;
  return isFinished ? `${run}: finished before` : `\n${run}`;
}
