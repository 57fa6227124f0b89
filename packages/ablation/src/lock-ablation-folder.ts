import path from 'node:path';
import { describeWriteFault, lockFolder, makeFolder, type FolderLock } from '@glulam/files';
import { AblationError } from './errors.js';

/**
 * Make the folder of an ablation or search and take it for this process: two in one folder would mix their results.
 *
 * @param command the one that writes there
 * @throws AblationError FOLDER_BUSY, FOLDER_UNUSABLE
 */
export async function lockAblationFolder(folder: string, command: 'ablate' | 'search'): Promise<FolderLock> {
  const busy = (owner: string): AblationError =>
    new AblationError(
      'FOLDER_BUSY',
      `${owner} runs glulam ${command} in ${folder}; wait for it to end, or choose another folder with --out. If that process ` +
        `has nothing to do with this folder, remove ${path.join(folder, 'lock.*')}.`,
    );
  try {
    makeFolder(folder);
    return await lockFolder(folder, busy);
  } catch (cause) {
    if (cause instanceof AblationError) throw cause;
    throw new AblationError('FOLDER_UNUSABLE', `${folder} cannot be used: ${describeWriteFault(cause)}`, { cause });
  }
}
