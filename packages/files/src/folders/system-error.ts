/** What helps where the operating system refuses to write, by its code. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'name a place that you may write to, or change its permissions',
  EPERM: 'name a place that you may write to, or change its permissions',
  EROFS: 'the disk is mounted read-only; name a place elsewhere',
  ENOENT: 'nothing can be made there; name another place',
  ENOTDIR: 'a part of that path is a file; name a folder',
  EEXIST: 'there is a file of that name; name another place, or remove it first',
  EISDIR: 'there is a folder of that name; name another place, or remove it first',
  ENOTEMPTY: 'there is a folder of that name; name another place, or remove it first',
  ENOSPC: 'make room there, or name a place on another disk',
  EDQUOT: 'your quota is used up; make room there, or name a place on another disk',
  EFBIG: 'a file may not be that large there (see ulimit -f); raise the limit, or name a place on another disk',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ELOOP: 'its symbolic links lead to each other; name another place',
  EMFILE: 'this process may not open more files (see ulimit -n); raise the limit',
  ENFILE: 'the machine has too many files open; end other programs',
  EIO: 'the disk does not answer; see whether it is damaged or was unplugged',
};

/** An error of a system call on a file, as Node throws it. */
export interface SystemError extends Error {
  /** The operating system's name of the fault, such as `ENOSPC`. */
  readonly code: string;
  /** The call that failed, such as `open`. */
  readonly syscall: string;
  /** The file or folder that the call was about. */
  readonly path: string;
}

/** Whether an error is one of a system call on a file; an error of starting a process is not. */
export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  return [code, syscall, path].every((each) => typeof each === 'string') && !syscall!.startsWith('spawn');
}

/** Whether an error says that there is no such file, either because nothing has its name or because a parent is a file. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Why a place could not be written, and what helps: for the message of an error that names the place. */
export function describeWriteFault(error: unknown): string {
  const { message, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  const remedy = code === undefined ? undefined : remedies[code];
  return remedy === undefined ? message : `${message}; ${remedy}`;
}
