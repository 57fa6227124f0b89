import path from 'node:path';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { openReportStream, reporters, type ReporterContribution } from '@glulam/trainer';
import { z } from 'zod';
import { appendJsonLines, printJsonLines } from './jsonl-reporter.js';

export { appendJsonLines, printJsonLines } from './jsonl-reporter.js';

const schema = z.strictObject({
  file: z
    .string()
    .min(1)
    .refine((file) => path.normalize(file) !== 'events.jsonl', 'the run itself writes events.jsonl: name another file')
    .optional()
    .describe('Appended to; relative to the run folder. Default: stdout.'),
});

/** Events for programs that watch a run. Chosen alone, nothing else is on stdout. */
export const jsonlReporter: ReporterContribution<z.infer<typeof schema>> = {
  kind: 'jsonl',
  schema,
  open({ file }, events) {
    if (file !== undefined) return appendJsonLines(events, file);
    const stdout = openReportStream(process.stdout);
    const end = printJsonLines(events, stdout.write);
    return () => {
      end();
      return stdout.close();
    };
  },
};

/** The plugin: the reporter `jsonl`. */
export const reporterJsonl = (): Plugin<Offer<'reporter', 'jsonl', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/reporter-jsonl',
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => jsonlReporter }),
  });
