import { createServer, type Server, type Socket } from 'node:net';
import { tap } from 'rxjs';
import type { RunEvent, RunEvents } from '../events/events.js';
import { createControlAddress } from './control-address.js';
import { controlRequestSchema, type ControlReply, type ControlRequest, type RunStatus } from './control-messages.js';

/** A request is a few words. */
const mostBytes = 1024;
const mostClients = 16;
/** A client that has not sent its request by then is let go, in milliseconds. */
const patience = 10_000;

/** The socket at which a run listens to other processes. */
interface RunControl {
  /** Where it listens; undefined: it could not be opened. */
  readonly address: string | undefined;
  /** Tell clients that the run has ended, and remove the socket. */
  close(): Promise<void>;
}

/** A client that waits for what it has asked for. */
interface Waiting {
  readonly ask: Exclude<ControlRequest, 'status'>;
  readonly socket: Socket;
  /** Of an evaluation: the step after which it is made, and the scores so far. */
  step?: number;
  readonly scores: Record<string, Record<string, number>>;
}

/**
 * Open a run's control socket. Requests are those of `RunEvents.request`, so a run honours them between steps and its
 * numbers stay as they are. The socket keeps no process alive. Where none can be opened the run is told why by `warn`, and
 * goes on without it.
 */
export async function openControl(
  run: string,
  folder: string,
  events: RunEvents,
  warn: (message: string) => void,
): Promise<RunControl> {
  let status: RunStatus = { run, folder, pid: process.pid, state: 'opening', step: 0 };
  const clients = new Set<Socket>();
  const waiting = new Set<Waiting>();

  const send = (socket: Socket, reply: ControlReply): void => void socket.write(`${JSON.stringify(reply)}\n`);
  const finish = (client: Waiting, reply: ControlReply): void => {
    waiting.delete(client);
    send(client.socket, reply);
    client.socket.end();
  };
  const answer = (socket: Socket, line: string): void => {
    const asked = controlRequestSchema.safeParse(parsed(line));
    if (!asked.success) {
      send(socket, { error: `expected a line such as {"ask":"status"}, got ${JSON.stringify(line.slice(0, 100))}` });
      return void socket.end();
    }
    send(socket, { status });
    const { ask } = asked.data;
    if (ask === 'status') return void socket.end();
    waiting.add({ ask, socket, scores: {} });
    events.request(ask, ask === 'stop' ? 'by glulam control' : undefined);
  };
  const accept = (socket: Socket): void => {
    socket.unref();
    // Clients come and go; what one of them does is nothing to the run.
    socket.on('error', () => socket.destroy());
    if (clients.size >= mostClients) {
      send(socket, { error: `${mostClients} others are asking; try again` });
      return void socket.end();
    }
    clients.add(socket);
    socket.setTimeout(patience, () => socket.destroy());
    socket.on('close', () => {
      clients.delete(socket);
      for (const client of waiting) if (client.socket === socket) waiting.delete(client);
    });
    let text = '';
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= mostBytes) return;
      socket.off('data', read);
      socket.setTimeout(0);
      // What it sends besides is read and forgotten, so that its end is seen.
      socket.resume();
      if (end < 0 || end > mostBytes) {
        send(socket, { error: `expected a request of at most ${mostBytes} bytes` });
        return void socket.end();
      }
      answer(socket, text.slice(0, end));
    };
    socket.on('data', read);
  };

  const follow = (event: RunEvent): void => {
    status = statusAfter(status, event);
    for (const client of waiting) {
      const reply = replyTo(client, event);
      if (reply !== undefined) finish(client, reply);
    }
  };

  let server: Server | undefined;
  let address: ReturnType<typeof createControlAddress> | undefined;
  try {
    address = createControlAddress();
    server = await listen(address.path, accept);
  } catch (error) {
    address?.remove();
    warn(
      `the run has no control socket (${(error as Error).message}): glulam control cannot ask it for anything, and all else works`,
    );
    return { address: undefined, close: () => Promise.resolve() };
  }
  const listening = events.listen('control socket', (all) => all.pipe(tap(follow)));
  const { path: at, remove } = address;
  const opened = server;
  return {
    address: at,
    async close() {
      listening.unsubscribe();
      for (const client of waiting) finish(client, { error: `the run ended before it could ${client.ask}` });
      const closed = new Promise<void>((done) => opened.close(() => done()));
      for (const socket of clients) socket.destroySoon();
      await closed;
      remove();
    },
  };
}

function listen(path: string, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    server.unref();
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      // A socket that fails later is gone, and nobody can ask any more.
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // no JSON: the schema refuses it
  }
}

function statusAfter(status: RunStatus, event: RunEvent): RunStatus {
  switch (event.type) {
    case 'run.started':
      return { ...status, state: 'training', step: event.resumedFrom ?? 0, steps: event.steps };
    case 'step.finished': {
      const { step, steps, loss, tokensPerSecond } = event;
      return { ...status, state: 'training', step, steps, loss, tokensPerSecond };
    }
    case 'evaluation.running':
      return { ...status, state: 'evaluating' };
    case 'evaluation.finished':
      return { ...status, state: 'training' };
    case 'adapter.saved':
    case 'run.stopped':
      return { ...status, state: 'closing' };
    default:
      return status;
  }
}

/** What a client gets because of an event; undefined: it waits on. */
function replyTo(client: Waiting, event: RunEvent): ControlReply | undefined {
  const { ask, scores } = client;
  if (ask === 'checkpoint') {
    if (event.type !== 'checkpoint.saved') return undefined;
    return { checkpoint: { step: event.step, folder: event.folder } };
  }
  if (ask === 'stop')
    return event.type === 'run.stopped' ? { stopped: { step: event.step, reason: event.reason } } : undefined;
  if (event.type === 'evaluation.finished') {
    // One that was under way when it was asked for does not count: it is of a step before.
    if (event.step === client.step) scores[event.evaluator] = { ...event.scores };
    return undefined;
  }
  const isBetween = ['step.finished', 'checkpoint.saved', 'run.stopped', 'adapter.saved'].includes(event.type);
  if (client.step !== undefined && isBetween) {
    const hasScores = Object.keys(scores).length > 0;
    return hasScores ? { evaluation: { step: client.step, scores } } : { error: 'it has no evaluator' };
  }
  if (event.type === 'step.finished') client.step = event.step;
  return undefined;
}
