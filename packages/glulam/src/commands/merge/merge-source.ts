import { readAdapter, sumSaved, type MergeSource, type SavedPart } from '@glulam/export';
import { adapters, unexpandedLayers, type SavedAdapter } from '@glulam/model';
import {
  describeModel,
  openPromptForm,
  openRunCheckpoint,
  openRunTokenizer,
  recordedFormats,
  type PromptForm,
} from '@glulam/trainer';
import type { Arguments } from '../../cli/arguments.js';
import type { Call, CallOptions } from '../../call.js';
import { GlulamError } from '../../errors.js';
import { chosen, loadSource, type AdapterChoices, type ModelSource } from '../../models/open-model.js';
import { withRecordedPlugins } from '../../runs/with-recorded-plugins.js';
import { namedAdapter } from '../../models/adapter-choice.js';
import { isOverride, unknownOption } from '../../cli/command.js';
import { describeLinkedWeights } from './linked-weights.js';
import type { NamedModel } from '../../models/load-model.js';

/** A model to merge or export, with the chat template that it was trained with where that is not the base's. */
interface NamedSource {
  readonly source: MergeSource;
  readonly chatTemplate: string | undefined;
  /** The base as it may be written down. */
  readonly base: string;
  /** How the rows that it was trained on asked, where it is a run's. */
  readonly prompt: PromptForm | undefined;
}

/** For commands' help. */
export const adapterHelp = `  --adapter FOLDER[=WEIGHT]
                    a run's or adapter's folder in place of the named one's own; given more than once, their weighted sum`;

/**
 * A run, one of its checkpoints or an adapter folder, with the adapters that are chosen in its stead; a config
 * file stands for its model before training, a checkpoint for itself.
 */
export async function openMergeSource(
  name: ModelSource,
  options: CallOptions & { readonly adapters?: AdapterChoices | undefined },
  call: Call,
): Promise<NamedSource> {
  const named = await loadSource(name, options, call, { data: false });
  return withRecordedPlugins(named.loaded, () => openNamed(name, options.adapters ?? [], named, call));
}

async function openNamed(
  name: ModelSource,
  choices: AdapterChoices,
  { loaded, adapterFolder, note, run }: NamedModel,
  call: Call,
): Promise<NamedSource> {
  const { config, composition, baseName } = loaded;
  const checkpoint = await openRunCheckpoint(config, composition);
  const { spec } = checkpoint;
  const read = (folder: string): SavedAdapter => readAdapter(folder, composition.all(adapters), spec);
  const own = adapterFolder === undefined ? undefined : read(adapterFolder);
  const notes: (string | undefined)[] = [];
  const parts = chosen(choices).map((part): SavedPart => {
    if (own !== undefined && part.name === name) {
      notes.push(note);
      return { ...part, saved: own };
    }
    const other = namedAdapter(part.name);
    notes.push(other.note);
    return { ...part, saved: read(other.folder) };
  });
  if (parts.length === 0) notes.push(note);
  const told = parts.length > 0 ? parts.flatMap(({ saved }) => saved.warnings) : (own?.warnings ?? []);
  // As generate has it: the run's own layers, else those that the config says, else those of the first adapter.
  const rules = own ?? (config.expansion === undefined ? parts[0]?.saved : undefined);
  const described = rules === undefined ? describeModel(config, composition, spec) : undefined;
  const layers = described?.layers ?? rules?.layers ?? unexpandedLayers(spec.layers.length);
  const warnings = [...composition.warnings, ...checkpoint.warnings, ...(described?.warnings ?? []), ...told];
  const adapterFolders = parts.length > 0 ? parts.map((part) => namedAdapter(part.name).folder) : [adapterFolder ?? []];
  const linked = describeLinkedWeights(checkpoint.folder, checkpoint.files.files, adapterFolders.flat());
  for (const line of [...notes, ...warnings, linked]) if (line !== undefined) call.warn(line);
  const template = config.data.chatTemplate;
  return {
    source: { checkpoint, layers, saved: parts.length > 0 ? sumSaved(checkpoint, layers, parts) : own },
    chatTemplate:
      template === undefined
        ? undefined
        : openRunTokenizer(config, checkpoint.documents, spec.vocabularySize).chatTemplate!.source,
    base: baseName,
    prompt:
      run === undefined ? undefined : await openPromptForm(config, composition, { recorded: recordedFormats(run) }),
  };
}

/** The value of an option that has to be given, and the config's overrides among the others. */
export function splitOptions(
  command: string,
  { options }: Arguments,
  known: readonly string[],
): { readonly own: Readonly<Record<string, string | undefined>>; readonly overrides: Arguments['options'] } {
  const own: Record<string, string | undefined> = {};
  const overrides: Record<string, string | true> = {};
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name)) {
      if (value === true) throw new GlulamError('USAGE', `--${name} is without a value; see glulam ${command} --help`);
      own[name] = value;
    } else if (isOverride(name)) overrides[name] = value;
    else {
      throw unknownOption(command, name, [...known, 'adapter', 'base', 'plugins']);
    }
  }
  return { own, overrides };
}

/** One of the values that an option takes, or undefined where it is not given. */
export function oneOf<T extends string>(name: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw new GlulamError('USAGE', `--${name} is "${value}"; expected ${allowed.join(', ')}`);
}
