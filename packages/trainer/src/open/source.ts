import { point } from '@glulam/plugin';

/** What a name stands for: a base (of which a plan wants no weights), an adapter, a data file, another file. */
export type InputRole = 'base' | 'base without weights' | 'adapter' | 'data' | 'file';

/** How far the download of one input is; `bytes` count what was there before. */
export interface FetchProgress {
  /** The input, as the config names it. */
  readonly name: string;
  /** On this machine. */
  readonly bytes: number;
  /** Of the whole input. */
  readonly totalBytes: number;
}

/** What a source works with. */
export interface SourceContext {
  /** Aborting rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called often; only where something has to be downloaded. */
  readonly onProgress: (progress: FetchProgress) => void;
  /** For people. */
  readonly warn: (message: string) => void;
}

/** Brings inputs from elsewhere onto this machine. */
export interface Source {
  /** The name that says the same for ever: a branch becomes its commit. */
  pin(name: string, role: InputRole): Promise<string>;
  /** Whether a name that stands alone, as of a command's word, is of a base or of an adapter; without this it is an adapter. */
  roleOf?(pinned: string): Promise<'base' | 'adapter'>;
  /** The folder of a base or adapter, or the file, on this machine; `pinned` is what `pin` gave. */
  fetch(pinned: string, role: InputRole): Promise<string>;
}

/** What a plugin contributes at the point `sources`. */
export interface SourceContribution {
  /** Its name. */
  readonly kind: string;
  /** Whether a name is for this source; asked only where there is no such file or folder. */
  claims(name: string, role: InputRole): boolean;
  /** Before its first name is pinned. */
  open(context: SourceContext): Source;
}

/** Where plugins contribute sources. */
export const sources = point<SourceContribution>('trainer.sources', { claims: 'function', open: 'function' });
