import type { Command } from './command.js';
import { ablateCommand } from '../commands/ablate/ablate-command.js';
import { chatCommand } from '../commands/chat/chat-command.js';
import { controlCommand } from '../commands/control/control-command.js';
import { dataCommand } from '../commands/data/data-command.js';
import { doctorCommand } from '../commands/doctor/doctor-command.js';
import { evalCommand } from '../commands/eval/eval-command.js';
import { exportCommand } from '../commands/export/export-command.js';
import { generateCommand } from '../commands/generate/generate-command.js';
import { mergeCommand } from '../commands/merge/merge-command.js';
import { planCommand } from '../commands/plan/plan-command.js';
import { pluginsCommand } from '../commands/plugins/plugins-command.js';
import { pushCommand } from '../commands/push/push-command.js';
import { schemaCommand } from '../commands/schema/schema-command.js';
import { searchCommand } from '../commands/search/search-command.js';
import { trainCommand } from '../commands/train/train-command.js';
import { trustCommand } from '../commands/trust/trust-command.js';

export const commands: readonly Command[] = [
  dataCommand,
  planCommand,
  trainCommand,
  controlCommand,
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
