import { FilesError } from '../errors.js';
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type DocumentOptions,
  type Node,
  type ParseOptions,
  type SchemaOptions,
} from 'yaml';

/** Of what is not YAML the library takes the square of its length. */
const longest = 100_000;
const deepest = 64;

/**
 * Whether brackets, or list marks in a row, nest deeper than `deepest`. The library goes down by recursion: some hundreds
 * take it seconds, and a few thousand have ended the process.
 */
function isDeep(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
    if (depth > deepest) return true;
  }
  return new RegExp(`(?:[-?:][ \\t]+){${deepest + 1}}`).test(text);
}

export const invalidYaml = (message: string, cause?: unknown): FilesError =>
  new FilesError('YAML_INVALID', message, { cause });

/**
 * A YAML text of one document as nodes, in bounded time whatever it holds.
 *
 * @throws FilesError YAML_INVALID
 */
export function parseYaml(text: string, options: ParseOptions & DocumentOptions & SchemaOptions = {}): Document.Parsed {
  if (text.length > longest) throw invalidYaml(`it has ${text.length} characters; expected at most ${longest}`);
  if (isDeep(text))
    throw invalidYaml(`it nests lists or records deeper than ${deepest}; files for Glulam need ten at most`);
  // With the level `silent` the library reads the first of several documents and does not report the others.
  const document = parseDocument(text, { ...options, logLevel: 'error' });
  const fault = document.errors[0];
  if (fault?.code === 'MULTIPLE_DOCS')
    throw invalidYaml('it holds several YAML documents (separated by ---); expected one', fault);
  if (fault !== undefined) throw invalidYaml(`it is not YAML: ${fault.message.trimEnd()}`, fault);
  return document;
}

/**
 * A YAML text as values, in bounded time and memory whatever it holds.
 *
 * @throws FilesError YAML_INVALID; the message begins with "it", for the caller to name the file
 */
export function readYaml(text: string): unknown {
  const document = parseYaml(text);
  try {
    // What a few aliases of aliases stand for would fill any memory: the library stops at so many.
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw invalidYaml(`it is not YAML of use (${(cause as Error).message})`, cause);
  }
}

/**
 * The lines, from 1, on which the keys of a YAML or JSON text stand: undefined for a key that is not there, and for all
 * keys of a text that is not read.
 */
export function yamlLines(text: string): (path: readonly string[]) => number | undefined {
  const lineCounter = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseYaml(text, { lineCounter });
  } catch {
    return () => undefined;
  }
  return (path) => {
    let node: unknown = document.contents;
    let place: unknown = node;
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
        [place, node] = [pair?.key, pair?.value];
      } else if (isSeq(node)) place = node = node.items[Number(part)];
      else return undefined;
    }
    const start = (place as Node | undefined)?.range?.[0];
    return start === undefined ? undefined : lineCounter.linePos(start).line;
  };
}
