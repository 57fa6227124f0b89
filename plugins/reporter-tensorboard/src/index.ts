import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { reporters, type ReporterContribution } from '@glulam/trainer';
import { z } from 'zod';
import { reportToTensorBoard } from './tensorboard-reporter.js';

export { reportToTensorBoard } from './tensorboard-reporter.js';

const schema = z.strictObject({
  folder: z.string().min(1).default('tensorboard').describe('Where the event files go; relative to the run folder.'),
});

export const tensorboardReporter: ReporterContribution<z.infer<typeof schema>> = {
  kind: 'tensorboard',
  schema,
  open: ({ folder }, events) => reportToTensorBoard(events, folder),
};

/** The plugin: the reporter `tensorboard`. */
export const reporterTensorboard = (): Plugin<Offer<'reporter', 'tensorboard', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/reporter-tensorboard',
    contract: 2,
    register: (registry) => registry.contribute(reporters, { create: () => tensorboardReporter }),
  });
