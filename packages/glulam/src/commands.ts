import type { Command } from './commands/command.js';
import { ablateCommand } from './commands/ablate.js';
import { chatCommand } from './commands/chat.js';
import { dataCommand } from './commands/data.js';
import { doctorCommand } from './commands/doctor.js';
import { evalCommand } from './commands/eval.js';
import { exportCommand } from './commands/export.js';
import { generateCommand } from './commands/generate.js';
import { mergeCommand } from './commands/merge.js';
import { planCommand } from './commands/plan.js';
import { pluginsCommand } from './commands/plugins.js';
import { pushCommand } from './commands/push.js';
import { schemaCommand } from './commands/schema.js';
import { searchCommand } from './commands/search.js';
import { trainCommand } from './commands/train.js';
import { trustCommand } from './commands/trust.js';

export const commands: readonly Command[] = [
  dataCommand,
  planCommand,
  trainCommand,
  evalCommand,
  ablateCommand,
  searchCommand,
  generateCommand,
  chatCommand,
  mergeCommand,
  exportCommand,
  pushCommand,
  pluginsCommand,
  schemaCommand,
  doctorCommand,
  trustCommand,
];
