import { isAlias, isMap, isScalar, isSeq, type Alias, type ParsedNode, type Scalar, type YAMLMap } from 'yaml';
import { invalidYaml, parseYaml } from './read-yaml.js';

/** Values that a text may stand for, once its aliases are followed, and how deep they may nest. */
const most = 100_000;
const deepest = 64;

/** A value with the number of values in it, and how deep they nest. */
interface Built {
  readonly value: unknown;
  readonly size: number;
  readonly depth: number;
}
type Entries = Map<string, Built>;
type Node = ParsedNode | null;

/**
 * A YAML text as PyYAML's `safe_load` reads it, which is YAML 1.1: `yes` and `on` are booleans, `010` is 8, `1e-3` is a text
 * (a number needs the point and the sign: `1.0e-3`), `<<` merges mappings, and of keys that are there twice the last one
 * counts. Tags other than those of plain values, and dates, are refused.
 *
 * @throws FilesError YAML_INVALID; the message begins with "it", for the caller to name the file
 */
export function readPythonYaml(text: string): unknown {
  const document = parseYaml(text, { schema: 'failsafe', uniqueKeys: false });
  const anchors = new Map<string, ParsedNode>();
  const known = new Map<ParsedNode, Built>();
  const open = new Set<ParsedNode>();
  let done = 0;

  const work = (size: number): void => {
    done += 1;
    if (done > most || size > most)
      throw invalidYaml(`it is not YAML of use (with its aliases it stands for more than ${most} values)`);
  };
  const built = (value: unknown, parts: readonly Built[]): Built => {
    const size = parts.reduce((sum, each) => sum + each.size, 1);
    const depth = parts.reduce((sum, each) => Math.max(sum, each.depth + 1), 1);
    work(size);
    if (depth > deepest) throw invalidYaml(`it nests lists or records deeper than ${deepest}, with its aliases`);
    return { value, size, depth };
  };

  const build = (node: Node): Built => {
    if (node === null) return built(null, []);
    if (isAlias(node)) return build(followed(node));
    const before = known.get(node);
    if (before !== undefined) return before;
    if (open.has(node)) throw invalidYaml('it is not YAML of use (an alias stands inside of what it refers to)');
    note(node);
    open.add(node);
    const result = isMap(node) ? buildMap(node) : isSeq(node) ? buildList(node.items, node.tag) : buildScalar(node);
    open.delete(node);
    known.set(node, result);
    return result;
  };

  const note = (node: ParsedNode): void => {
    const { anchor } = node as { anchor?: string };
    if (anchor === undefined) return;
    if (anchors.has(anchor)) throw invalidYaml(`it has the anchor &${anchor} twice, which PyYAML refuses`);
    anchors.set(anchor, node);
  };

  // Nodes are built in the order of the text, so an anchor is known before its aliases.
  const followed = ({ source }: Alias): ParsedNode => {
    const node = anchors.get(source);
    if (node === undefined) throw invalidYaml(`it has the alias *${source}, and no anchor &${source} before it`);
    return node;
  };

  const buildList = (items: readonly Node[], tag: string | undefined): Built => {
    expectTag(tag, 'seq');
    const values = items.map(build);
    return built(
      values.map(({ value }) => value),
      values,
    );
  };

  const entriesOf = new Map<ParsedNode, Entries>();
  const buildMap = (node: YAMLMap.Parsed): Built => {
    expectTag(node.tag, 'map');
    const merged: Entries[] = [];
    const own: Entries = new Map();
    for (const { key, value } of node.items) {
      if (isMergeKey(key)) merged.push(...mergeSources(value));
      else own.set(keyOf(build(key).value), build(value));
    }
    const entries: Entries = new Map();
    for (const source of [...merged, own]) {
      for (const [key, each] of source) {
        work(1);
        entries.set(key, each);
      }
    }
    entriesOf.set(node, entries);
    return built(Object.fromEntries([...entries].map(([key, { value }]) => [key, value])), [...entries.values()]);
  };

  /** What a `<<` refers to; the last has precedence, so of a list the first one stands last. */
  const mergeSources = (node: Node): Entries[] => {
    const target = isAlias(node) ? followed(node) : node;
    const list = isSeq(target);
    if (target !== null) build(target);
    const sources = list
      ? (target.items as Node[]).map((each) => (isAlias(each) ? followed(each) : each)).reverse()
      : [target];
    return sources.map((each) => {
      if (!isMap(each)) throw invalidYaml('it merges (<<) what is no mapping; expected a mapping or a list of them');
      return entriesOf.get(each)!;
    });
  };

  const buildScalar = ({ value, type, tag }: Scalar.Parsed): Built => {
    // The failsafe schema has texts alone; what is empty may be null.
    return built(scalarValue(typeof value === 'string' ? value : '', type === 'PLAIN', tag), []);
  };

  return build(document.contents).value;
}

const isMergeKey = (key: Node): boolean =>
  isScalar(key) && key.type === 'PLAIN' && key.value === '<<' && key.tag === undefined;

function keyOf(key: unknown): string {
  if (typeof key === 'object' && key !== null)
    throw invalidYaml('it has a list or a mapping as a key; expected a text');
  return String(key);
}

const prefix = 'tag:yaml.org,2002:';

function expectTag(tag: string | undefined, name: string): void {
  if (tag !== undefined && tag !== '!' && tag !== prefix + name)
    throw invalidYaml(`it has the tag ${tag} on a ${name === 'seq' ? 'list' : 'mapping'}, which is not read`);
}

/** What a plain scalar is, by the rules of YAML 1.1 as PyYAML has them. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/^(?:~|null|Null|NULL|)$/, 'null'],
  [/^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/, 'bool'],
  [
    /^(?:[-+]?0b[01_]+|[-+]?0x[\da-fA-F_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][\d_]*)|[-+]?[1-9][\d_]*(?::[0-5]?\d)+)$/,
    'int',
  ],
  [
    /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
    'float',
  ],
  [/^\d{4}-\d\d-\d\d$|^\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d/, 'timestamp'],
  [/^<<$/, 'merge'],
  [/^=$/, 'value'],
];

function scalarValue(text: string, plain: boolean, tag: string | undefined): unknown {
  const implied = (): string => (plain ? (kinds.find(([pattern]) => pattern.test(text))?.[1] ?? 'str') : 'str');
  const kind = tag === undefined || tag === '!' ? implied() : tag.startsWith(prefix) ? tag.slice(prefix.length) : tag;
  switch (kind) {
    case 'str':
      return text;
    case 'null':
      return null;
    case 'bool':
      return /^(?:yes|true|on)$/i.test(text);
    case 'int':
    case 'float': {
      const value = kind === 'int' ? integer(text) : float(text);
      if (!Number.isNaN(value) || /^\.nan$/i.test(text)) return value;
      throw invalidYaml(`it has "${text.slice(0, 40)}" as a number (${kind}), which it is not`);
    }
    default:
      throw invalidYaml(`it has "${text.slice(0, 40)}" of the YAML type ${kind}, which is not read; quote a text`);
  }
}

function integer(text: string): number {
  const digits = text.replaceAll('_', '').replace(/^[-+]/, '');
  if (digits.includes(':')) return signed(text, sexagesimal(digits));
  const octal = /^0[0-7]+$/.test(digits);
  return /^(?:0b[01]+|0x[\da-f]+|\d+)$/i.test(digits) ? signed(text, Number(octal ? `0o${digits}` : digits)) : NaN;
}

function float(text: string): number {
  const digits = text.replaceAll('_', '').replace(/^[-+]/, '');
  if (/^\.inf$/i.test(digits)) return signed(text, Infinity);
  if (digits.includes(':')) return signed(text, sexagesimal(digits));
  return /^(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(digits) ? signed(text, Number(digits)) : NaN;
}

const signed = (text: string, value: number): number => (text.startsWith('-') ? -value : value);

/** `1:30` is 90. */
const sexagesimal = (digits: string): number => digits.split(':').reduce((sum, each) => sum * 60 + Number(each), 0);
