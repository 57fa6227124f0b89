import { search } from '@glulam/ablation';
import { events, formatBytes } from '@glulam/trainer';
import { tap } from 'rxjs';
import { stderr, stdout } from '../output.js';
import { progressLine } from '../progress-line.js';
import { configHelp, type Command } from './command.js';
import { loadResumable } from './load-resumable.js';

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
    const { config, composition, search: settings, resume } = await loadResumable(args, 'search', 'search');
    const { show, clear } = progressLine(stderr);
    composition.get(events).listen('glulam search', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type !== 'warning') return;
          clear();
          stderr.write(`warning: ${event.message}\n`);
        }),
      ),
    );
    const result = await search(config, settings, composition, {
      signal,
      resume,
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
