import path from 'node:path';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { openReportFile, reporters, type ReportFile, type ReporterContribution } from '@glulam/trainer';
import { tap } from 'rxjs';
import { z } from 'zod';

const name = 'glulam-plugin-reporter-csv';
const schema = z.strictObject({
  file: z.string().default('losses.csv').describe('Relative to the run folder.'),
});

/** `step,loss` as lines of a file. */
export const csv: ReporterContribution<z.infer<typeof schema>> = {
  kind: 'csv',
  schema,
  open({ file }, events) {
    let open: ReportFile | undefined;
    const subscription = events.listen(name, (stream) =>
      stream.pipe(
        tap((event) => {
          // The run folder is known now. A resumed run appends to what was told before.
          if (event.type === 'run.started') open ??= openReportFile(path.resolve(event.folder, file));
          if (event.type === 'step.finished') open?.append(Buffer.from(`${event.step},${event.loss}\n`));
        }),
      ),
    );
    return () => {
      subscription.unsubscribe();
      open?.close();
    };
  },
};

export default (): Plugin<Offer<'reporter', 'csv', z.input<typeof schema>>> =>
  definePlugin({
    name,
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => csv }),
  });
