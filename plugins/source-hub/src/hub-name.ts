import { HubError } from './errors.js';

/** A repository of the Hub at a revision, or a file in it. */
export interface HubName {
  readonly type: 'model' | 'dataset';
  /** owner/name */
  readonly repository: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  readonly path: string | undefined;
}

const segment = String.raw`\w(?:[\w.-]*\w)?`;
const bare = new RegExp(`^(${segment}/${segment})(?:@(.+))?$`);
// The form of huggingface_hub's HfFileSystem: a slash in a revision is written %2F, but in refs/pr/1 and refs/convert/x.
const address = new RegExp(
  `^hf://(?:(datasets|models)/)?(${segment}/${segment})(?:@(refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(.+))?$`,
);
const expected =
  'expected owner/name or owner/name@revision of a model, or for a file hf://datasets/owner/name@revision/path (hf://owner/name@revision/path in a model)';

export const isAddress = (name: string): boolean => name.startsWith('hf://');
/** A commit names a folder of the cache, so nothing else may pass for one. */
export const isCommit = (revision: unknown): boolean =>
  typeof revision === 'string' && revision.length === 40 && /^[0-9a-f]+$/.test(revision);

/** undefined: it is no name of the Hub's. */
export function parseHubName(name: string): HubName | undefined {
  const [, plain, at] = bare.exec(name) ?? [];
  if (plain !== undefined) {
    if (isReserved(plain)) return undefined;
    return { type: 'model', repository: plain, revision: at ?? 'main', path: undefined };
  }
  const [, kind, repository, revision = 'main', path] = address.exec(name) ?? [];
  if (repository === undefined || isReserved(repository)) return undefined;
  return { type: kind === 'datasets' ? 'dataset' : 'model', repository, revision: decode(revision), path };
}

/** @throws HubError NAME_INVALID */
export function readHubName(name: string, wanted: 'folder' | 'file'): HubName {
  const parsed = parseHubName(name);
  if (parsed === undefined) throw new HubError('NAME_INVALID', `${name} is no name of the Hub's; ${expected}`);
  if (wanted === 'folder' && (parsed.type === 'dataset' || parsed.path !== undefined))
    throw new HubError('NAME_INVALID', `${name} does not name a model's repository; ${expected}`);
  if (wanted === 'file' && parsed.path === undefined)
    throw new HubError('NAME_INVALID', `${name} names a repository, and no file in it; ${expected}`);
  return parsed;
}

/** The shortest form that parses to the same. */
export function formatHubName({ type, repository, revision, path }: HubName): string {
  if (type === 'model' && path === undefined) return `${repository}@${revision}`;
  return `hf://${type === 'dataset' ? 'datasets/' : ''}${repository}@${encodeURIComponent(revision)}${path === undefined ? '' : `/${path}`}`;
}

function decode(revision: string): string {
  try {
    return decodeURIComponent(revision);
  } catch {
    return revision; // a % that stands for itself
  }
}

/** Python refuses these too: `--` parts owner and name in the cache's folders. */
const isReserved = (repository: string): boolean =>
  repository.length > 96 || /--|\.\.|\.git$/.test(repository) || /^(datasets|models|spaces)\//.test(repository);
