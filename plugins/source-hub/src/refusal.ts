import { HubError } from './errors.js';
import type { HubSettings } from './hub-settings.js';
import { readBody } from './read-body.js';

/** What a response that is no success means, for people. The Hub says more in X-Error-Code (huggingface_hub, _http.py). */
export async function refusal(
  response: Response,
  url: URL,
  settings: HubSettings,
  signal: AbortSignal,
): Promise<HubError> {
  const { endpoint, token } = settings;
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  const said = quote(headers.get('x-error-message') ?? (await bodyMessage(response, signal)), token);
  // Whoever waits for the rest of it may wait for ever.
  response.body?.cancel().catch(() => {});
  const what = `${url.origin}${url.pathname}`;
  const { repository, page } = repositoryOf(url, endpoint);
  const logIn =
    token === undefined
      ? `make a token at ${endpoint}/settings/tokens and set it as HF_TOKEN (or log in by "hf auth login")`
      : 'the token in use (HF_TOKEN, or the file that "hf auth login" wrote) has no access: use one of an account that has';
  const answer = `${status}${said === '' ? '' : `: ${said}`}`;

  // Where files lie, after a redirection or by an address that the Hub gave: these run out, and the Hub gives new ones.
  const from = response.url === '' ? url : new URL(response.url);
  if (from.origin !== new URL(endpoint).origin)
    return new HubError(
      'UNREACHABLE',
      `${from.origin}, where large files are kept, answered ${answer}; try again later: what was downloaded or uploaded is kept`,
    );
  if (status === 429 || status === 408 || status >= 500)
    return new HubError('UNREACHABLE', `${what} answered ${answer}; try again later: what was downloaded is kept`);
  if (code === 'GatedRepo')
    return new HubError(
      'ACCESS_DENIED',
      `${repository} is gated: ask for access on ${page}, then ${logIn} (${answer})`,
    );
  if (code === 'RevisionNotFound')
    return new HubError(
      'NOT_FOUND',
      `${repository} has no such revision (${what}); its branches and tags are on ${page}`,
      { isFinal: true },
    );
  if (code === 'EntryNotFound')
    return new HubError('NOT_FOUND', `${repository} has no such file (${what})`, { isFinal: true });
  if (status === 401 && token !== undefined && /invalid (credentials|user token)|expired/i.test(said))
    return new HubError(
      'ACCESS_DENIED',
      `the token in use (HF_TOKEN, or the file that "hf auth login" wrote) is not valid, or no longer: make another at ${endpoint}/settings/tokens (${answer})`,
    );
  // Of a repository that one may not see the Hub says 401 to strangers, as of one that is not there.
  if (code === 'RepoNotFound' || status === 404 || status === 401)
    return new HubError(
      'NOT_FOUND',
      `there is no ${repository} on ${endpoint}, or it is private: check the name; if it is private, ${logIn} (${answer})`,
    );
  if (status === 403) return new HubError('ACCESS_DENIED', `${what} is refused (${answer}); ${logIn}`);
  return new HubError('REQUEST_REFUSED', `${what} answered ${answer}`);
}

function repositoryOf(url: URL, endpoint: string): { readonly repository: string; readonly page: string } {
  const [, kind, name] =
    /\/(?:api\/)?(?:(models|datasets)\/)?([^/]+\/[^/]+?)(?:\.git)?(?:\/|$)/.exec(
      url.pathname.slice(new URL(endpoint).pathname.replace(/\/$/, '').length),
    ) ?? [];
  const isData = kind === 'datasets';
  return {
    repository: `${isData ? 'data set' : 'model'} ${name ?? url.pathname}`,
    page: `${endpoint}/${isData ? 'datasets/' : ''}${name ?? ''}`,
  };
}

async function bodyMessage(response: Response, signal: AbortSignal): Promise<string> {
  if (!response.headers.get('content-type')?.includes('json')) return '';
  try {
    const text = Buffer.from(await readBody(response, { bytes: 100_000, time: 10_000, signal })).toString();
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    return [error, message].find((each) => typeof each === 'string') ?? '';
  } catch {
    return ''; // cut short, endless or not JSON after all: the status says enough
  }
}

/** What a server said, on one line; it might repeat the token. */
function quote(said: string, token: string | undefined): string {
  const line = said.replace(/\s+/g, ' ').trim().slice(0, 300);
  return token === undefined ? line : line.replaceAll(token, '***');
}
