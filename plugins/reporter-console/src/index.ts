import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { openReportStream, reporters, type ReporterContribution } from '@glulam/trainer';
import { z } from 'zod';
import { reportToConsole } from './console-reporter.js';

export type { Output } from './console-reporter.js';
export { reportToConsole } from './console-reporter.js';

const schema = z.strictObject({});

export const consoleReporter: ReporterContribution<z.infer<typeof schema>> = {
  kind: 'console',
  schema,
  open(_, events) {
    const { stdout } = process;
    const { write, close } = openReportStream(stdout);
    const output = {
      write,
      isTTY: stdout.isTTY,
      // Asked for at each line: the window may be resized.
      get columns() {
        return stdout.columns;
      },
    };
    const end = reportToConsole(events, output, inCi());
    return () => {
      end();
      return close();
    };
  },
};

/** The plugin: the reporter `console`. */
export const reporterConsole = (): Plugin<Offer<'reporter', 'console', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/reporter-console',
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => consoleReporter }),
  });

/** Continuous integration sets CI; nobody watches the steps there. */
const inCi = (): boolean => !['', undefined, '0', 'false'].includes(process.env['CI']);
