import { statSync } from 'node:fs';
import path from 'node:path';
import { checkRegular, linkOut, type CheckpointDocuments } from '@glulam/files';
import { ExportError } from '../errors.js';

/** All that goes beside merged weights as it is; the base's README.md tells of the base, so it stays there. */
const copied =
  /^(tokenizer\.json|tokenizer\.model|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.(jinja|json)|generation_config\.json|(LICENSE|NOTICE|USE_POLICY).*)$/;

/**
 * The files of a base beside its weights that are copied into what is made of it. config.json, whose fields are, is checked
 * with them.
 *
 * @throws ExportError LINK_OUTSIDE, CHECKPOINT_INVALID
 */
export function checkSideFiles(base: CheckpointDocuments): readonly string[] {
  // Names of documents may come from a file: none leads out of the folder that they are written to.
  if (base.texts !== undefined) return base.names().filter((name) => copied.test(name) && !/[\\/\0]/.test(name));
  const names = base.names().filter((name) => copied.test(name) && !isFolder(base.locate(name)));
  checkCopied(base.folder, ['config.json', ...names]);
  return names;
}

/**
 * Refuse to copy what is no regular file of a folder: see `linkOut`.
 *
 * @param names relative to the folder
 * @throws ExportError LINK_OUTSIDE, CHECKPOINT_INVALID
 */
export function checkCopied(folder: string, names: readonly string[]): void {
  const links = names.flatMap((name) => {
    const target = linkOut(folder, name);
    return target === undefined ? [] : [`${name} -> ${target}`];
  });
  if (links.length > 0)
    throw new ExportError(
      'LINK_OUTSIDE',
      `${folder} has links to files outside of it, whose content would be copied:\n  ${links.join('\n  ')}\n` +
        'If these are the files you mean, name the folder that they are in, or put copies in the place of the links.',
    );
  for (const name of names) {
    const file = path.join(folder, name);
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    try {
      checkRegular(stats);
    } catch (cause) {
      throw new ExportError('CHECKPOINT_INVALID', `${file} cannot be copied: ${(cause as Error).message}`, { cause });
    }
  }
}

const isFolder = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
