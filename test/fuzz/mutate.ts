// Damage to inputs of readers: what every fuzz test draws from. An input follows from the number of its run alone.

/** Marsaglia's xorshift32: a whole number in [0, below). */
export type Random = (below: number) => number;

export function createRandom(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]!;

/** What has been trouble in other readers: numbers at the edges, types of other kinds, names with a meaning. */
const oddities = [
  '0',
  '-1',
  '-0',
  '1',
  '3',
  '4',
  '8',
  '1e0',
  '4294967296',
  '9007199254740991',
  '9007199254740992',
  '1e400',
  '0.5',
  'null',
  'true',
  '""',
  '"F32"',
  '"I64"',
  '"BF16"',
  '"F4"',
  '"toString"',
  '[]',
  '[0]',
  '[0,0]',
  '[4,0]',
  '[[0]]',
  '{}',
  '"__proto__"',
  '"__metadata__"',
  '"\\ud800"',
  '"constructor"',
  '"../x"',
  '1e15',
  '-9007199254740993',
];

/** Structure kept where it can be: tokens of JSON, YAML or Jinja are dropped, doubled, exchanged, or become odd ones. */
export function mutateText(text: string, random: Random, odd: readonly string[] = oddities): string {
  const tokens = text.match(/"[^"]*"|-?\d+|[\p{L}_]+|\s+|./gsu) ?? [];
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(tokens.length || 1);
    const kind = random(32);
    if (kind < 6) tokens.splice(at, 1);
    else if (kind < 12) tokens.splice(at, 0, pick(random, tokens));
    else if (kind < 18) tokens[at] = pick(random, tokens);
    else if (kind < 25) tokens[at] = pick(random, odd);
    else if (kind < 31) tokens.splice(at, 1 + random(8), ...tokens.slice(random(tokens.length || 1)).slice(0, 8));
    else tokens[at] = nested(random);
  }
  return tokens.join('');
}

/** Deeper than a recursive reader's stack. */
function nested(random: Random): string {
  const depth = pick(random, [10, 1000, 20_000]);
  const [open, close] = pick(random, [
    ['[', ']'],
    ['{"a":', '}'],
    ['(', ')'],
    ['- ', ''],
    ['{% if a %}', '{% endif %}'],
  ] as const);
  return `${open.repeat(depth)}1${random(2) === 0 ? close.repeat(depth) : ''}`;
}

/** Bits, lengths and ends; `from` is where the interesting bytes end, of which more is damaged. */
export function mutateBytes(good: Uint8Array, random: Random, from = good.length): Buffer {
  let bytes = Buffer.from(good);
  for (let flips = random(4); flips > 0 && bytes.length > 0; flips--)
    bytes[random(random(3) === 0 ? bytes.length : Math.min(from, bytes.length)) || 0]! ^= 1 << random(8);
  if (random(4) === 0 && bytes.length >= 8) {
    const at = random(bytes.length - 7);
    const number = pick(random, [
      0n,
      1n,
      255n,
      2n ** 31n - 1n,
      2n ** 31n,
      2n ** 32n - 1n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]);
    if (random(2) === 0) bytes.writeBigUInt64LE(number, at);
    else bytes.writeUInt32LE(Number(number % 2n ** 32n), at);
  }
  if (random(5) === 0) {
    const [start, target] = [random(bytes.length + 1), random(bytes.length + 1)];
    const piece = bytes.subarray(start, start + random(64));
    bytes = Buffer.concat([bytes.subarray(0, target), piece, bytes.subarray(target + random(64))]);
  }
  if (random(4) === 0) bytes = bytes.subarray(0, random(bytes.length + 1));
  if (random(8) === 0) bytes = Buffer.concat([bytes, Buffer.alloc(random(20))]);
  return bytes;
}

/** A safetensors file: the header's text, its length, or the bytes. */
export function mutateSafetensors(good: Buffer, random: Random): Buffer {
  const dataOffset = 8 + Number(good.readBigUInt64LE());
  if (random(2) === 0) return mutateBytes(good, random, dataOffset);
  const text = Buffer.from(mutateText(good.toString('utf8', 8, dataOffset), random));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const bytes = Buffer.concat([prefix, text, good.subarray(dataOffset)]);
  return random(4) === 0 ? bytes.subarray(0, random(bytes.length + 1)) : bytes;
}
