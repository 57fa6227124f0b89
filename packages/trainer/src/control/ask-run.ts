import { existsSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { addressOfOwner } from '@glulam/files';
import { TrainerError } from '../errors.js';
import { isControlAddress } from './control-address.js';
import { controlReplySchema, type ControlReply, type ControlRequest } from './control-messages.js';

/**
 * Ask the process that trains in a run folder for something: its replies in order, the first of them its status. Nothing
 * is written to the folder.
 *
 * @param signal aborting ends the conversation; what was asked for is done all the same
 * @throws TrainerError RUN_INVALID where there is no run, RUN_NOT_ACTIVE where none of this machine trains there or it does
 *   not answer
 */
export async function* askRun(
  folder: string,
  ask: ControlRequest,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ControlReply, void, void> {
  const address = await addressOf(folder);
  const socket = connect(address);
  const onAbort = (): void => void socket.destroy();
  signal?.addEventListener('abort', onAbort);
  try {
    await new Promise<void>((done, fail) => {
      socket.once('connect', done);
      socket.once('error', (cause) => fail(silent(folder, cause.message, cause)));
    });
    let failure: Error | undefined;
    socket.on('error', (error) => (failure = error));
    let received = 0;
    socket.on('data', ({ length }: Buffer) => {
      received += length;
      if (received > mostBytes) socket.destroy(new Error(`its reply is longer than ${mostBytes} bytes`));
    });
    socket.write(`${JSON.stringify({ ask })}\n`);
    const lines = createInterface({ input: socket });
    // Of a socket that fails there comes no end.
    socket.once('close', () => lines.close());
    for await (const line of lines) {
      // What a reply that is cut off has is part of a line.
      if (failure !== undefined) break;
      const reply = parseReply(line);
      if (reply === undefined)
        throw silent(folder, `it replied ${line.slice(0, 200)}, which this version of Glulam does not know`);
      if ('status' in reply && realPath(reply.status.folder) !== realPath(folder))
        throw silent(folder, `another run, in ${reply.status.folder}, answers at its address`);
      if ('error' in reply) throw silent(folder, reply.error);
      yield reply;
    }
    if (failure !== undefined) throw silent(folder, failure.message, failure);
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

/** Replies are lines of a few words; an evaluation's has all its scores. */
const mostBytes = 2 ** 20;

function parseReply(line: string): ControlReply | undefined {
  try {
    return controlReplySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined; // no JSON: it is shown as it came
  }
}

/** The path itself where nothing is there. */
const realPath = (folder: string): string => (existsSync(folder) ? realpathSync(folder) : folder);

const silent = (folder: string, why: string, cause?: unknown): TrainerError =>
  new TrainerError('RUN_NOT_ACTIVE', `the run in ${folder} does not do as it was asked: ${why}`, { cause });

async function addressOf(folder: string): Promise<string> {
  if (!existsSync(path.join(folder, 'config.json')) && !existsSync(path.join(folder, 'events.jsonl')))
    throw new TrainerError(
      'RUN_INVALID',
      `${folder} is no run folder: it has no config.json; name the folder of a run`,
    );
  const found = await addressOfOwner(folder);
  if (found === undefined)
    throw new TrainerError(
      'RUN_NOT_ACTIVE',
      `no process trains in ${folder} now; resume it with glulam train ${folder} --resume, or look at what it did: glulam eval ${folder}`,
    );
  const { owner, address } = found;
  if (address === undefined || !isControlAddress(address))
    throw new TrainerError(
      'RUN_NOT_ACTIVE',
      `${owner} trains in ${folder} and cannot be asked from here: ${
        address === undefined
          ? 'it is on another machine, or has no control socket'
          : 'its address is not one of this user’s runs'
      }; ask there, or stop it by its signal`,
    );
  return address;
}
