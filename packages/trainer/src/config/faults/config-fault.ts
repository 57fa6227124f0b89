/** One thing that is wrong in a config. */
export interface ConfigFault {
  /** Of the key, such as `['train', 'steps']`; empty: the config as a whole. */
  readonly path: readonly string[];
  /** After the path: `: expected a number, got "ten"`, or ` is not an option`. */
  readonly problem: string;
  /** The path of the option that was meant. */
  readonly instead?: string | undefined;
  /** It is only the one whose name is nearest. */
  readonly isGuess?: true;
  /** What else the reader needs, such as another unit. */
  readonly note?: string | undefined;
  /** A kind that is to be written as a record, `{ kind }`; `isGuess`: it is only the one whose name is nearest. */
  readonly kind?: { readonly name: string; readonly isGuess: boolean } | undefined;
  /** A required key that is not there. */
  readonly isMissing?: true;
}

/** How a config's keys are named where they were written; a key on the command line is an option. */
export interface FaultNames {
  /** The place of a fault, such as `train.steps (line 4)`. */
  place(path: readonly string[]): string;
  /** An option as the reader would write it there. */
  option(fault: ConfigFault): string;
  /** A kind, as the reader would write it there. */
  kind(path: readonly string[], name: string): string;
}

const plainNames: FaultNames = {
  place: (path) => path.join('.'),
  option: ({ instead }) => instead!,
  kind: (path, name) => `${path.at(-1)}: { kind: ${JSON.stringify(name)} }`,
};

/**
 * A fault in one line: its place, the problem, and what to write instead where that is known. Places are keys joined by
 * dots unless `names` says otherwise.
 */
export function describeFault(fault: ConfigFault, names: FaultNames = plainNames): string {
  const { path, problem, instead, isGuess, note, kind } = fault;
  const place = path.length === 0 ? 'config' : names.place(path);
  if (kind !== undefined) {
    const written = names.kind(path, kind.name);
    return `${place}${problem}; ${kind.isGuess ? `did you mean ${written}?` : `write ${written}`}`;
  }
  if (instead === undefined) return `${place}${problem}${note === undefined ? '' : `; ${note}`}`;
  const option = names.option(fault);
  if (isGuess === true) return `${place}${problem}; did you mean ${option}?`;
  return `${place}${problem}; write ${option}${note === undefined ? '' : ` (${note})`}`;
}

/**
 * By path, each fault once. A key is not missing where another name of it is written: to rename that one is enough.
 */
export function sortFaults(faults: readonly ConfigFault[]): ConfigFault[] {
  const written = faults.flatMap(({ instead }) => (instead === undefined ? [] : [instead]));
  const isWritten = (path: string): boolean =>
    written.some((option) => option === path || option.startsWith(`${path}.`));
  const kept = faults.filter(({ path, isMissing }) => isMissing !== true || !isWritten(path.join('.')));
  const unique = new Map(kept.map((fault) => [describeFault(fault), fault]));
  return [...unique.values()].sort((a, b) => a.path.join('.').localeCompare(b.path.join('.'), 'en', { numeric: true }));
}
