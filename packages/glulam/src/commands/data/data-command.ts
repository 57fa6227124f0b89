import { existsSync } from 'node:fs';
import path from 'node:path';
import { checkpointReaders, readCheckpoint } from '@glulam/model';
import { openData, openRunTokenizer } from '@glulam/trainer';
import { numberOption, overridesFrom } from '../../cli/arguments.js';
import { bringInputs } from '../../runs/bring-inputs.js';
import { describeData } from './describe-data.js';
import { GlulamError } from '../../errors.js';
import { loadConfig } from '../../config/load-config.js';
import { openCall } from '../../call.js';
import { configHelp, onePositional, type Command } from '../../cli/command.js';
import { isCheckpointFolder } from '../../models/load-model.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stdout } from '../../cli/output.js';
import { checkWrites } from '../../runs/trusted-runs.js';

export const dataCommand: Command = {
  name: 'data',
  summary: "show what a config's data comes to, before training",
  help: `glulam data CONFIG|RUN [options]

Reads and tokenizes the data of a config or of a run, without opening the model. For each file: rows, examples, tokens, how long the
examples are, and which rows are left out or mended, with the reasons. Then examples as the model will see them, what it
learns of them in colour, or between ⟦ and ⟧ where the output is no terminal or NO_COLOR is set.

  --samples N       examples to show (default 2)
${configHelp}`,
  async run(args, signal) {
    const { samples: _, ...overrides } = args.options;
    const samples = numberOption(args.options, 'samples') ?? 2;
    if (!Number.isInteger(samples) || samples < 0)
      throw new GlulamError('USAGE', `--samples is ${samples}; expected a whole number of at least 0`);
    const name = onePositional(args, 'data', 'CONFIG or RUN');
    const ofRun = path.join(name, 'config.json');
    const isRun = existsSync(ofRun) && !isCheckpointFolder(name);
    const loaded = await loadConfig(isRun ? ofRun : name, overridesFrom(overrides));
    checkWrites(loaded, ['data.cache']);
    const call = openCall({ signal, ...terminalNotices() });
    call.attach(loaded.composition);
    const { config, composition } = await bringInputs(loaded, call, { weights: false });
    const { documents } = await readCheckpoint(config.base, composition.all(checkpointReaders));
    const tokenizer = openRunTokenizer(config, documents);
    tokenizer.warnings.forEach(call.warn);
    const data = await openData(config, composition, tokenizer, { signal, onProgress: call.onReading }).finally(
      call.close,
    );
    try {
      const { isTTY, columns } = stdout;
      const colour = isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
      const lines = describeData(data, config, tokenizer, {
        samples,
        colour,
        columns: (isTTY ? columns : undefined) ?? 100,
      });
      stdout.writeDrawn(`${lines.join('\n')}\n`);
    } finally {
      data.close();
      await call.end();
    }
  },
};
