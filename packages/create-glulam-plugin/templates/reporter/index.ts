import path from 'node:path';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { openReportFile, reporters, type ReporterContribution, type ReportFile, type RunEvent } from '@glulam/trainer';
import { tap } from 'rxjs';
import { z } from 'zod';

const schema = z.strictObject({
  file: z.string().min(1).default('losses.csv').describe('The file to append to, relative to the run folder.'),
});

/** The loss and learning rate of each step, as a table that any spreadsheet opens. */
export const myKindReporter: ReporterContribution<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  open({ file }, events) {
    let table: ReportFile | undefined;
    const report = (event: RunEvent): void => {
      // The run folder is not there before; a resumed run goes on in the same file.
      if (event.type === 'run.started') {
        table ??= openReportFile(path.resolve(event.folder, file));
        if (table.sizeBefore === 0) table.append(Buffer.from('step,loss,learning_rate\n'));
      }
      if (event.type === 'step.finished')
        table?.append(Buffer.from(`${event.step},${event.loss},${event.learningRate}\n`));
    };
    const subscription = events.listen('glulam-plugin-reporter-my-kind', (stream) => stream.pipe(tap(report)));
    return () => {
      subscription.unsubscribe();
      table?.close();
    };
  },
};

/** The plugin: the reporter `my_kind`. */
export const reporterMyKind = (): Plugin<Offer<'reporter', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-reporter-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => myKindReporter }),
  });

// What a config that names this package takes.
export default reporterMyKind;
