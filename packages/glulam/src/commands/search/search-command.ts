import { formatBytes } from '@glulam/trainer';
import { progressLine } from '../../cli/progress-line.js';
import { search } from './search.js';
import { configHelp, type Command } from '../../cli/command.js';
import { findResumable } from '../../runs/load-resumable.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

export const searchCommand: Command = {
  name: 'search',
  summary: 'rank layer maps of a base by held-out loss or an evaluator, before any training',
  help: `glulam search CONFIG [options]
glulam search CONFIG|SEARCH --resume

CONFIG is a config as for glulam train; its base is scored, without adapter, under many layer maps: every run of layers
laid out twice, or those in "search.maps". The score is the held-out loss, or that of the evaluator in "search.score". What
maps begin with alike is computed once. The folder (out) gets a line a map in results.jsonl, all of them by rank in
results.json, report.md and report.html.

  --out FOLDER      the search's folder (default: the config's, or runs/latest)
  --resume          go on where the search stopped: maps that are scored are not scored again
  --search.limit N  score by the first N held-out examples or questions (default: 32)
  --search.score.kind KIND
                    score by an evaluator's questions; its options are --search.score.file and so on
  --search.memory N
                    megabytes for hidden states that maps share (default: 1024)
${configHelp}`,
  async run(args, signal) {
    const { config, ...given } = findResumable(args, 'search', 'search');
    const { show, clear } = progressLine(stderr);
    const result = await search(config, {
      ...given,
      signal,
      onFault: terminalNotices().onFault,
      onEvent(event) {
        if (event.type !== 'warning') return;
        clear();
        stderr.write(`warning: ${event.message}\n`);
      },
      onMap: ({ number, of, map, score, measure }) =>
        show(`map ${number} of ${of}: ${JSON.stringify(map)} has ${measure.name} ${score.toFixed(4)}`),
      onFetch: ({ name: input, bytes, totalBytes }) =>
        show(`${input}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} here`),
    });
    clear();
    const lines = result.stopped
      ? [`the search is not finished; go on with it: glulam search ${result.folder} --resume`]
      : [...result.findings, ...result.reports.map((file) => `report: ${file}`)];
    stdout.write(`${lines.join('\n')}\n`);
  },
};
