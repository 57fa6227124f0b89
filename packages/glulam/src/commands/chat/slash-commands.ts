import type { AdapterSelection, Conversation } from '@glulam/model';
import { namedAdapter, parseChoice } from '../../models/adapter-choice.js';
import type { OpenedModel } from '../../models/open-model.js';
import { GlulamError } from '../../errors.js';

export const chatHelp = `/help                     this
/reset                    begin a new conversation; the system message stays
/system TEXT              begin a new conversation with this system message; without TEXT, with none
/adapter                  the adapters that are loaded, and those in use
/adapter NAME[=WEIGHT]... go on with these, summed; a folder that is not loaded is
/adapter none             go on with the expanded layers alone
/adapter base             go on with the base as it is, each layer once
/exit                     end, as Ctrl-D does
Ctrl-C stops an answer.`;

/** What lines that begin with / do; gives what is to be told, or undefined where the chat is to end. */
export type ChatCommands = (line: string, signal?: AbortSignal) => Promise<string | undefined>;

export function createChatCommands(model: OpenedModel, conversation: Conversation, system?: string): ChatCommands {
  let selection: AdapterSelection = model.selection;
  let systemMessage = system;
  conversation.begin(system);

  /** Gives what users should know of adapters that were not loaded before. */
  const select = async (wanted: AdapterSelection, signal: AbortSignal | undefined): Promise<string[]> => {
    const fresh = typeof wanted === 'string' ? [] : wanted.filter(({ name }) => !model.set.names.includes(name));
    const warnings: string[] = [];
    for (const { name } of fresh) {
      const { note, ...adapter } = namedAdapter(name);
      warnings.push(...(note === undefined ? [] : [note]), ...(await model.load(adapter, signal)));
    }
    conversation.use(await model.set.decoder(wanted, signal));
    selection = wanted;
    return warnings;
  };
  const listing = (): string => {
    const chosen = typeof selection === 'string' ? [] : selection;
    const lines = model.set.names.map((name) => {
      const weight = chosen.find((each) => each.name === name)?.weight;
      return `${weight === undefined ? ' ' : '*'} ${name}${weight === undefined || weight === 1 ? '' : `=${weight}`}`;
    });
    for (const name of ['none', 'base']) lines.push(`${selection === name ? '*' : ' '} ${name}`);
    return lines.join('\n');
  };

  return async (line, signal) => {
    const [command, ...words] = line.split(/\s+/);
    const rest = line.slice(command!.length).trim();
    switch (command) {
      case '/help':
        return chatHelp;
      case '/reset':
        conversation.begin(systemMessage);
        return 'a new conversation';
      case '/system':
        systemMessage = rest === '' ? undefined : rest;
        conversation.begin(systemMessage);
        return `a new conversation, ${rest === '' ? 'without a system message' : 'with this system message'}`;
      case '/adapter': {
        const names = words.filter((word) => word !== '');
        const [only] = names;
        if (only === undefined) return listing();
        const warnings = await select(
          names.length === 1 && (only === 'none' || only === 'base') ? only : names.map(parseChoice),
          signal,
        );
        return [...warnings, listing()].join('\n');
      }
      case '/exit':
        return undefined;
      default:
        throw new GlulamError('USAGE', `there is no command ${command}; /help lists them`);
    }
  };
}
