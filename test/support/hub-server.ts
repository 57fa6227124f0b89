import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does instead of answering well, `times` times (for ever, if not given). */
export interface Fault {
  /** Of the path, with what a query says. */
  readonly match: RegExp;
  readonly method?: string;
  times?: number;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Close the connection before an answer, or after so many bytes of it. */
  readonly cutAfter?: number;
  /** Bytes of the body are other ones. */
  readonly corrupt?: boolean;
  /** Nothing is heard for so long before each piece. */
  readonly delay?: number;
  /** The whole file comes, whatever range was asked for. */
  readonly ignoreRange?: boolean;
}

export interface HubRequest {
  /** hub: the API; files: another host, where large files are. */
  readonly host: 'hub' | 'files';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

interface Repository {
  readonly files: Map<string, Map<string, Buffer>>;
  readonly refs: Map<string, string>;
  readonly isPrivate: boolean;
  readonly isGated: boolean;
}

export interface HubServer {
  readonly endpoint: string;
  readonly token: string;
  readonly requests: HubRequest[];
  readonly faults: Fault[];
  /** Requests are taken and never answered. */
  silent: boolean;
  /** Names such as models/owner/name. Returns the commit. */
  put(
    repository: string,
    files: Record<string, Buffer | string>,
    options?: { branch?: string; isPrivate?: boolean; isGated?: boolean },
  ): string;
  /** The files of a branch. */
  read(repository: string, branch?: string): Map<string, Buffer> | undefined;
  readonly commits: { readonly repository: string; readonly summary: string; readonly paths: readonly string[] }[];
  close(): Promise<void>;
}

const sha = (kind: 'sha1' | 'sha256', ...parts: (string | Buffer)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash(kind)).digest('hex');
const gitBlob = (content: Buffer): string => sha('sha1', `blob ${content.length}\0`, content);
const isLarge = (path: string, size: number): boolean => /\.(safetensors|parquet|bin)$/.test(path) || size > 1e6;

/**
 * The endpoints of the Hub that Glulam uses, as huggingface_hub and @huggingface/hub speak them, on this machine: one
 * server for the API and small files, and one on another origin for large files, which it is redirected to.
 */
export async function startHub(token = 'hf_secretOfTheTests'): Promise<HubServer> {
  const repositories = new Map<string, Repository>();
  const uploaded = new Map<string, Buffer>();
  const requests: HubRequest[] = [];
  const faults: Fault[] = [];
  const commits: HubServer['commits'] = [];

  const hub = createServer((request, response) => void answer('hub', request, response));
  const files = createServer((request, response) => void answer('files', request, response));
  // Names of one machine, and yet two hosts.
  const [endpoint, filesAt] = [await listen(hub, '127.0.0.1'), await listen(files, 'localhost')];

  async function answer(host: 'hub' | 'files', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    requests.push({ host, method, path: url, authorization: headers.authorization, range: headers.range });
    if (server.silent) return;
    const fault = faults.find(
      (each) => each.match.test(url) && (each.method ?? method) === method && (each.times ?? 1) > 0,
    );
    if (fault?.times !== undefined) fault.times -= 1;
    response.on('error', () => {});
    const body = await readBody(request);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    if (fault?.cutAfter === 0) {
      request.socket.destroy();
      return;
    }
    if (host === 'files') return void (await answerFiles(method, url, body, request, response, fault));
    return void (await answerHub(new URL(url, endpoint), body, request, response, fault));
  }

  async function answerFiles(
    method: string,
    url: string,
    body: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
    fault?: Fault,
  ) {
    const hash = /^\/(?:lfs|upload)\/([0-9a-f]{64})/.exec(url)?.[1];
    if (method === 'PUT' && hash !== undefined) {
      if (sha('sha256', body) !== hash) return void response.writeHead(400).end('other content');
      uploaded.set(hash, body);
      return void response.writeHead(200, { etag: '"part"' }).end();
    }
    const content = hash === undefined ? undefined : (largeFile(hash) ?? uploaded.get(hash));
    if (content === undefined) return void response.writeHead(404).end();
    await send(content, request, response, fault);
  }

  const largeFile = (hash: string): Buffer | undefined =>
    [...repositories.values()]
      .flatMap((each) => [...each.files.values()].flatMap((tree) => [...tree.values()]))
      .find((content) => sha('sha256', content) === hash);

  async function answerHub(url: URL, body: Buffer, request: IncomingMessage, response: ServerResponse, fault?: Fault) {
    const path = decodeURIComponent(url.pathname);
    const json = (value: unknown, headers = {}): void =>
      void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    const refuse = (status: number, code?: string, message = ''): void =>
      void response
        .writeHead(status, {
          'content-type': 'application/json',
          ...(code && { 'x-error-code': code, 'x-error-message': message }),
        })
        .end(JSON.stringify({ error: message }));
    const isKnown = request.headers.authorization === `Bearer ${token}`;
    if (request.headers.authorization !== undefined && !isKnown)
      return refuse(401, undefined, 'Invalid credentials in Authorization header');

    if (path === '/api/repos/create') {
      if (!isKnown) return refuse(401);
      const { name, organization, visibility } = JSON.parse(body.toString()) as Record<string, string>;
      const key = `models/${organization}/${name}`;
      if (organization !== 'me') return refuse(403, undefined, `no rights in ${organization}`);
      if (repositories.has(key)) return refuse(409, undefined, 'You already created this model repo');
      put(key, { '.gitattributes': '*.safetensors filter=lfs' }, { isPrivate: visibility === 'private' });
      return json({ url: `${endpoint}/me/${name}`, id: `me/${name}` });
    }

    const lfs = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(path);
    const found =
      /^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/(revision|tree|paths-info|preupload|commit|branch)\/(.+)$/.exec(
        path,
      ) ?? /^\/(datasets\/)?([^/]+\/[^/]+)\/(resolve)\/(.+)$/.exec(path);
    const kind = found?.[1]?.startsWith('datasets') ? 'datasets' : 'models';
    const key = `${kind}/${lfs?.[1] ?? found?.[2]}`;
    const repository = repositories.get(key);
    if (repository === undefined || (repository.isPrivate && !isKnown))
      return isKnown
        ? refuse(404, 'RepoNotFound', 'Repository not found')
        : refuse(401, 'RepoNotFound', 'Invalid username or password.');
    if (lfs !== null) {
      if (!isKnown) return refuse(401);
      const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
      return json({
        transfer: 'basic',
        objects: objects.map(({ oid, size }) => ({
          oid,
          size,
          ...(uploaded.has(oid) || largeFile(oid) !== undefined
            ? {}
            : { actions: { upload: { href: `${filesAt}/upload/${oid}?signature=s` } } }),
        })),
      });
    }
    const [, , , what, rest] = found!;
    if (what === 'preupload') {
      const { files: asked } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
      return json({
        files: asked.map(({ path: file, size }) => ({
          path: file,
          uploadMode: isLarge(file, size) ? 'lfs' : 'regular',
        })),
      });
    }
    if (what === 'branch') {
      repository.refs.set(rest!, repository.refs.get('main')!);
      return json({});
    }
    if (what === 'commit') return commit(key, repository, rest!, body, json, refuse);

    const revision = ['HEAD', ...repository.refs.keys(), ...repository.files.keys()]
      .filter((each) => rest === each || rest!.startsWith(`${each}/`))
      .sort((a, b) => b.length - a.length)[0];
    if (revision === undefined) return refuse(404, 'RevisionNotFound', 'Invalid rev id');
    const commitId = repository.refs.get(revision === 'HEAD' ? 'main' : revision) ?? revision;
    const tree = repository.files.get(commitId)!;
    if (what === 'revision')
      return json({
        _id: '1',
        id: found![2],
        sha: commitId,
        private: repository.isPrivate,
        gated: repository.isGated,
        downloads: 0,
        likes: 0,
        lastModified: '2024-01-01T00:00:00.000Z',
      });
    const entries = [...tree].map(([file, content]) => entry(file, content));
    if (what === 'tree') {
      // A page of three, so that paging is met.
      const from = Number(url.searchParams.get('cursor') ?? 0);
      url.searchParams.set('cursor', String(from + 3));
      const next = from + 3 < entries.length ? { link: `<${endpoint}${url.pathname}${url.search}>; rel="next"` } : {};
      return json(entries.slice(from, from + 3), next);
    }
    if (what === 'paths-info') {
      const { paths } = JSON.parse(body.toString()) as { paths: string[] };
      return json(entries.filter(({ path: file }) => paths.includes(file)));
    }
    if (repository.isGated && !isKnown)
      return refuse(401, 'GatedRepo', `Access to model ${found![2]} is restricted. You must be authenticated`);
    const file = rest!.slice(revision.length + 1);
    const content = tree.get(file);
    if (content === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
    const { oid, lfs: large } = entry(file, content);
    response.setHeader('x-repo-commit', commitId);
    if (large === undefined) {
      response.setHeader('etag', `"${oid}"`);
      return void (await send(content, request, response, fault));
    }
    response
      .writeHead(302, {
        location: `${filesAt}/lfs/${large.oid}?signature=secret`,
        'x-linked-etag': `"${large.oid}"`,
        'x-linked-size': String(content.length),
      })
      .end();
  }

  function commit(
    key: string,
    repository: Repository,
    branch: string,
    body: Buffer,
    json: (value: unknown) => void,
    refuse: (status: number, code?: string, message?: string) => void,
  ): void {
    const lines = body
      .toString()
      .split('\n')
      .map((line) => JSON.parse(line) as { key: string; value: Record<string, string> });
    const tree = new Map(repository.files.get(repository.refs.get(branch) ?? '') ?? []);
    for (const { key: what, value } of lines.slice(1)) {
      const content =
        what === 'file'
          ? Buffer.from(value['content']!, 'base64')
          : (uploaded.get(value['oid']!) ?? largeFile(value['oid']!));
      if (content === undefined) return refuse(400, undefined, `${value['path']} was not uploaded`);
      tree.set(value['path']!, content);
    }
    const commitOid = store(repository, branch, tree);
    commits.push({
      repository: key,
      summary: lines[0]!.value['summary']!,
      paths: lines.slice(1).map(({ value }) => value['path']!),
    });
    json({ commitOid, commitUrl: `${endpoint}/${key}/commit/${commitOid}`, hookOutput: '' });
  }

  function store(repository: Repository, branch: string, tree: Map<string, Buffer>): string {
    const id = sha('sha1', branch, ...[...tree].flatMap(([file, content]) => [file, content]));
    repository.files.set(id, tree);
    repository.refs.set(branch, id);
    return id;
  }

  const put: HubServer['put'] = (key, content, { branch = 'main', isPrivate = false, isGated = false } = {}) => {
    const repository = repositories.get(key) ?? { files: new Map(), refs: new Map(), isPrivate, isGated };
    repositories.set(key, repository);
    return store(
      repository,
      branch,
      new Map(Object.entries(content).map(([file, text]) => [file, Buffer.from(text as string)])),
    );
  };

  const server: HubServer = {
    endpoint,
    token,
    requests,
    faults,
    commits,
    put,
    silent: false,
    read(key, branch = 'main') {
      const repository = repositories.get(key);
      return repository?.files.get(repository.refs.get(branch) ?? '');
    },
    async close() {
      for (const server of [hub, files]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
  return server;
}

function entry(path: string, content: Buffer) {
  const size = content.length;
  if (!isLarge(path, size)) return { type: 'file', path, size, oid: gitBlob(content) };
  const oid = sha('sha256', content);
  const pointer = Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`);
  return { type: 'file', path, size, oid: gitBlob(pointer), lfs: { oid, size, pointerSize: pointer.length } };
}

async function send(content: Buffer, request: IncomingMessage, response: ServerResponse, fault: Fault | undefined) {
  const [, start] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
  const from = start === undefined || fault?.ignoreRange === true ? 0 : Number(start);
  const bytes = Buffer.from(content.subarray(from));
  if (fault?.corrupt === true && bytes.length > 0) bytes[bytes.length >> 1]! ^= 1;
  const range = from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length, 'accept-ranges': 'bytes', ...range });
  if (request.method === 'HEAD') return void response.end();
  const whole = bytes.subarray(0, fault?.cutAfter ?? bytes.length);
  const step = fault?.delay === undefined ? whole.length : 64 * 1024;
  for (let at = 0; at < whole.length; at += step) {
    if (fault?.delay !== undefined) await new Promise((done) => setTimeout(done, fault.delay));
    if (response.destroyed) return;
    await new Promise((done) => response.write(whole.subarray(at, at + step), done));
  }
  if (whole.length < bytes.length) return void setTimeout(() => request.socket.destroy(), 20);
  response.end();
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function listen(server: Server, name: string): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://${name}:${(server.address() as AddressInfo).port}`;
}
