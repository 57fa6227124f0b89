import { homedir } from 'node:os';
import path from 'node:path';
import { readTextFile } from '@glulam/files';
import { HubError } from './errors.js';

/** Where the Hub is, where its files are kept, and who asks. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache that is shared with Python's huggingface_hub. */
  readonly cache: string;
  /** Sent to the endpoint and to nobody else; never told. */
  readonly token: string | undefined;
  readonly offline: boolean;
  /** Milliseconds that an answer may take where the cache can do without. */
  readonly patience: number;
  /** Upload by Git LFS alone. */
  readonly withoutXet: boolean;
}

/** The variables that huggingface_hub goes by (its constants.py and utils/_auth.py), in the same order. */
export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubSettings {
  const given = (...names: string[]): string | undefined => names.map((name) => env[name]).find((value) => value);
  const expand = (name: string): string => path.resolve(expandHome(expandVariables(name, env)));
  const home = expand(given('HF_HOME') ?? path.join(given('XDG_CACHE_HOME') ?? '~/.cache', 'huggingface'));
  const cache = given('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE');
  const endpoint = (given('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, '');
  if (!/^https?:$/.test(protocolOf(endpoint))) {
    throw new HubError(
      'NAME_INVALID',
      'the variable HF_ENDPOINT is no address; expected one like https://huggingface.co',
    );
  }
  return {
    endpoint,
    cache: cache === undefined ? path.join(home, 'hub') : expand(cache),
    token:
      clean(given('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN')) ??
      readToken(expand(given('HF_TOKEN_PATH') ?? path.join(home, 'token'))),
    offline: isTrue(given('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE')),
    patience: 1000 * (Number.parseInt(given('HF_HUB_ETAG_TIMEOUT') ?? '', 10) || 10),
    withoutXet: isTrue(given('HF_HUB_DISABLE_XET')),
  };
}

function readToken(file: string): string | undefined {
  try {
    return clean(readTextFile(file));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HubError('ACCESS_DENIED', `the token in ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

const clean = (token: string | undefined): string | undefined => token?.replace(/[\r\n]/g, '').trim() || undefined;
const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');
const expandHome = (name: string): string => name.replace(/^~(?=$|[\\/])/, () => homedir());
/** As Python's os.path.expandvars: what is not set stays as it is. */
const expandVariables = (name: string, env: NodeJS.ProcessEnv): string =>
  name.replace(/\$(\w+|\{[^}]*\})/g, (whole, variable: string) => env[variable.replace(/[{}]/g, '')] ?? whole);

function protocolOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).protocol : '';
}
