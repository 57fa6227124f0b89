import { setTimeout as sleep } from 'node:timers/promises';
import { HubError } from './errors.js';
import type { HubSettings } from './hub-settings.js';
import { BodyTooLarge, readBody } from './read-body.js';
import { refusal } from './refusal.js';

export interface HubFetchOptions {
  readonly signal: AbortSignal;
  /** Milliseconds before the second try; each further one waits twice as long. */
  readonly firstDelay?: number | undefined;
  /** How often a question is asked; default 6. */
  readonly tries?: number;
  /** Milliseconds for the beginning of an answer, and for the rest of it; default a minute, five for what is sent. */
  readonly patience?: number;
  /** See `HubFetch`; default a minute. */
  readonly silence?: number | undefined;
}

/** fetch as the Hub wants it. A response that is no success is an error; the whole answer is here when it returns. */
export interface HubFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** The same for a file: its body comes as it is read, and is the caller's to bound. */
  stream(input: string | URL, init?: RequestInit): Promise<Response>;
  /** Milliseconds after which a server that says nothing is taken for gone. */
  readonly silence: number;
  /** Wait before try number `attempt` (from 1); throws `reason` where there were enough of them. */
  wait(attempt: number, reason: HubError, retryAfter?: number): Promise<void>;
}

const longestDelay = 30_000;
/** Servers may ask for more patience than that, but not for ever. */
const longestRetryAfter = 300_000;
const defaultSilence = 60_000;
/** An answer of the Hub's API has a page of a listing at most, some hundred kilobytes. */
const mostAnswerBytes = 16_000_000;

/**
 * The token goes to the endpoint's origin and nowhere else: files lie on other hosts, whose addresses are signed, and
 * fetch drops the header where it follows a redirection to one. What a proxy, a full server or a cut line did is tried
 * again, with growing pauses or as long as the server asks for.
 *
 * @throws HubError OFFLINE, UNREACHABLE, ACCESS_DENIED, NOT_FOUND, REQUEST_REFUSED
 */
export function createHubFetch(
  settings: HubSettings,
  { signal, firstDelay = 1000, tries = 6, patience, silence = defaultSilence }: HubFetchOptions,
): HubFetch {
  const { endpoint, token, offline } = settings;
  const { origin } = new URL(endpoint);

  const wait: HubFetch['wait'] = async (attempt, reason, retryAfter) => {
    signal.throwIfAborted();
    if (attempt >= tries) throw reason;
    const own = Math.min(longestDelay, firstDelay * 2 ** (attempt - 1));
    await sleep(Math.min(longestRetryAfter, retryAfter ?? own), undefined, { signal }).catch(() => {
      signal.throwIfAborted();
    });
  };

  const send = async (url: URL, init: RequestInit, quietFor: number): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (url.origin === origin) {
      if (token === undefined) headers.delete('authorization');
      else headers.set('authorization', `Bearer ${token}`);
    }
    // Only until the headers are there: a body takes as long as it takes.
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error(`no answer in ${quietFor / 1000} s`)), quietFor);
    const signals = [signal, controller.signal, ...(init.signal == null ? [] : [init.signal])];
    try {
      return await fetch(url, { ...init, headers, signal: AbortSignal.any(signals) });
    } finally {
      clearTimeout(timer);
    }
  };

  /** The answer with its body read. */
  const whole = async (response: Response): Promise<Response> => {
    if (response.body === null) return response;
    const { status, statusText, headers } = response;
    const body = await readBody(response, { bytes: mostAnswerBytes, time: patience ?? 5 * silence, signal });
    return new Response(body, { status, statusText, headers });
  };

  const asking = async (
    input: string | URL | Request,
    init: RequestInit,
    finish: (response: Response) => Response | Promise<Response>,
  ): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const what = `${url.origin}${url.pathname}`;
    if (offline)
      throw new HubError(
        'OFFLINE',
        `HF_HUB_OFFLINE is set, and ${what} would have to be asked; unset it, or fetch what is needed before`,
      );
    const { method = 'GET' } = init;
    // A commit whose answer was lost may have been made: only what the server says it did not do is sent again.
    const isCommitting = method === 'POST' && /\/(commit|create)(\/|$)/.test(url.pathname);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      let response: Response;
      try {
        response = await send(url, init, patience ?? (method === 'GET' ? silence : 5 * silence));
        if (response.ok) return await finish(response);
      } catch (cause) {
        signal.throwIfAborted();
        if (cause instanceof BodyTooLarge || isNoHub(cause))
          throw new HubError(
            'REQUEST_REFUSED',
            `${what} cannot be used: ${reasonOf(cause)}. If HF_ENDPOINT is set, check that it leads to a Hub`,
            { cause },
          );
        const mended = isCommitting
          ? 'the commit may have been made or not: look at the repository before trying again'
          : 'check the connection and try again: what was downloaded is kept';
        const reason = new HubError('UNREACHABLE', `${what} cannot be reached (${reasonOf(cause)}); ${mended}`, {
          cause,
        });
        if (isCommitting) throw reason;
        await wait(attempt, reason);
        continue;
      }
      const error = await refusal(response, url, settings, signal);
      signal.throwIfAborted();
      if (error.code !== 'UNREACHABLE' || (isCommitting && ![429, 503].includes(response.status))) throw error;
      await wait(attempt, error, readRetryAfter(response.headers.get('retry-after')));
    }
  };
  const hubFetch = (input: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    asking(input, init, whole);
  const stream = (input: string | URL, init: RequestInit = {}): Promise<Response> =>
    asking(input, init, (response) => response);
  return Object.assign(hubFetch, { stream, wait, silence });
}

/** Node's fetch has no codes for redirections that it does not follow; to ask again would not help. */
const isNoHub = (cause: unknown): boolean => /redirect count exceeded|URL scheme must be/.test(reasonOf(cause));

/** fetch says "fetch failed"; why is in its cause. */
export function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  if (!(cause instanceof Error)) return message;
  const { code } = cause as NodeJS.ErrnoException;
  return cause.message || code || message;
}

/** Seconds or a date, as milliseconds from now. */
function readRetryAfter(value: string | null, now = Date.now()): number | undefined {
  if (value === null || value.trim() === '') return undefined;
  const at = /^\s*\d+(\.\d+)?\s*$/.test(value) ? now + Number(value) * 1000 : Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
