import {
  askRun,
  controlRequests,
  suggestion,
  type ControlReply,
  type ControlRequest,
  type RunStatus,
} from '@glulam/trainer';
import { stdout } from '../../cli/output.js';
import { unknownOption, type Command } from '../../cli/command.js';
import { GlulamError } from '../../errors.js';

export const controlCommand: Command = {
  name: 'control',
  summary: 'ask a run that trains in another process: where it stands, to evaluate, to save, to stop',
  help: `glulam control RUN [status | evaluate | checkpoint | stop] [--json]

Asks the process of this machine that trains in the run folder RUN. It answers between two steps, and its losses stay the same.

  status      where it stands (default)
  evaluate    run the config's evaluators after the step that it is in, and print their scores
  checkpoint  save a checkpoint after that step, to resume from
  stop        end after that step with a checkpoint, as Ctrl-C in its terminal does; glulam train RUN --resume goes on

  --json      print each reply as a line of JSON

The command waits until it is done. Ctrl-C ends the waiting; what was asked for is done all the same. Only the user who began
the run can ask it.`,
  async run({ positional, options }, signal) {
    const unknown = Object.keys(options).find((name) => name !== 'json');
    if (unknown !== undefined) throw unknownOption('control', unknown, ['json']);
    const [folder, asked = 'status', ...rest] = positional;
    if (folder === undefined || rest.length > 0)
      throw new GlulamError(
        'USAGE',
        `glulam control takes a RUN and what to ask it, got ${positional.length} words; see glulam control --help`,
      );
    const ask = requestOf(asked);
    for await (const reply of askRun(folder, ask, { signal })) {
      if (options['json'] === true) stdout.write(`${JSON.stringify(reply)}\n`);
      else for (const line of linesOf(reply, ask)) stdout.write(`${line}\n`);
    }
  },
};

function requestOf(word: string): ControlRequest {
  const known = controlRequests.find((request) => request === word);
  if (known !== undefined) return known;
  throw new GlulamError(
    'USAGE',
    `a run cannot be asked for "${word}"${suggestion(word, controlRequests) || `; it can be asked for ${controlRequests.join(', ')}`}`,
  );
}

function linesOf(reply: ControlReply, ask: ControlRequest): readonly string[] {
  if ('status' in reply) return [statusLine(reply.status), ...(ask === 'status' ? [] : [`asked it to ${ask}`])];
  if ('checkpoint' in reply) return [`checkpoint of step ${reply.checkpoint.step}: ${reply.checkpoint.folder}`];
  if ('evaluation' in reply) {
    const { step, scores } = reply.evaluation;
    return [
      `after step ${step}:`,
      ...Object.entries(scores).flatMap(([evaluator, all]) =>
        Object.entries(all).map(
          ([score, value]) => `  ${evaluator} ${score} ${value === null ? 'not finite' : value.toPrecision(4)}`,
        ),
      ),
    ];
  }
  if ('stopped' in reply) return [`stopped after step ${reply.stopped.step}, with a checkpoint`];
  return [];
}

function statusLine({ state, step, steps, loss, tokensPerSecond, pid }: RunStatus): string {
  const place = steps === undefined ? '' : `, step ${step} of ${steps}`;
  const last = loss === undefined ? '' : `, loss ${loss === null ? 'not finite' : loss.toPrecision(4)}`;
  const speed =
    tokensPerSecond === undefined ? '' : `, ${Math.round(tokensPerSecond).toLocaleString('en-US')} tokens/s`;
  return `${state}${place}${last}${speed} (process ${pid})`;
}
