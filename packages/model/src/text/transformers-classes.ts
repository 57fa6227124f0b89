import { byteCharacters } from './tokenizers/steps/byte-level.js';
import { readPostProcessor } from './tokenizers/steps/post-processors.js';
import type { TokenizerFiles } from './tokenizer-files.js';
import type { TokenizerPipeline } from './tokenizers/tokenizer-pipeline.js';

// transformers 5 opens a tokenizer by the class that a file names. Some classes take only the vocabulary of tokenizer.json
// and build the rest of the pipeline themselves (their `__init__`, 5.18).

interface Built {
  readonly normalizer: object | null;
  readonly pre_tokenizer: object;
  readonly decoder: object;
  /** Whether bytes without a token become tokens such as <0x0A>. */
  readonly byteFallback: boolean;
  /** What the class adds around every text, where that is not what tokenizer.json says. */
  readonly around?: 'bos' | 'nothing';
  /** Tokens that the class adds if no file names others, or null. */
  readonly tokens: Readonly<Record<string, string>>;
}

const byteLevel = { type: 'ByteLevel' };
const pieces = [
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
];
const withoutFirst = { type: 'Strip', content: ' ', start: 1, stop: 0 };
const decoders = (...steps: object[]): object => ({ type: 'Sequence', decoders: steps });
const split = (pattern: object, behavior: string): object => ({ type: 'Split', pattern, behavior, invert: false });
const metaspace = (scheme: string): object => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme: scheme,
  split: false,
});
const toBytes = (prefix: boolean, divides = true): object => ({
  type: 'ByteLevel',
  add_prefix_space: prefix,
  use_regex: divides,
});
const steps = (...pretokenizers: object[]): object => ({ type: 'Sequence', pretokenizers });
const qwen = (letter: string, prefix: boolean): object =>
  steps(
    split(
      {
        Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?${letter === '\\p{L}' ? letter : `[${letter}]`}+|\\p{N}| ?[^\\s${letter}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
      },
      'Isolated',
    ),
    toBytes(prefix, false),
  );
const end = '<|endoftext|>';
const allEnds = { bos_token: end, eos_token: end, unk_token: end };
const sentences = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };

const BUILT: Readonly<Record<string, (options: TokenizerFiles['classOptions']) => Built>> = {
  LlamaTokenizer: ({ legacy, addPrefixSpace }) => ({
    normalizer: null,
    pre_tokenizer: metaspace(addPrefixSpace === false ? 'never' : legacy ? 'always' : 'first'),
    decoder: decoders(...pieces, ...(addPrefixSpace === false ? [] : [withoutFirst])),
    byteFallback: true,
    tokens: sentences,
  }),
  CodeLlamaTokenizer: ({ addPrefixSpace }) => ({
    normalizer: null,
    pre_tokenizer: metaspace(addPrefixSpace === false ? 'never' : 'first'),
    decoder: decoders(...pieces, withoutFirst),
    byteFallback: true,
    around: 'bos',
    tokens: {
      ...sentences,
      prefix_token: '▁<PRE>',
      middle_token: '▁<MID>',
      suffix_token: '▁<SUF>',
      eot_token: '▁<EOT>',
      fill_token: '<FILL_ME>',
    },
  }),
  GemmaTokenizer: () => ({
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: split({ String: ' ' }, 'MergedWithPrevious'),
    decoder: decoders(...pieces),
    byteFallback: true,
    tokens: { bos_token: '<bos>', eos_token: '<eos>', unk_token: '<unk>', pad_token: '<pad>', mask_token: '<mask>' },
  }),
  CohereTokenizer: ({ addPrefixSpace }) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: steps({ type: 'Digits', individual_digits: true }, toBytes(addPrefixSpace ?? false)),
    decoder: byteLevel,
    byteFallback: false,
    tokens: {
      bos_token: '<BOS_TOKEN>',
      eos_token: '<|END_OF_TURN_TOKEN|>',
      unk_token: '<UNK>',
      pad_token: '<PAD>',
      cls_token: '<CLS>',
      sep_token: '<SEP>',
      mask_token: '<MASK_TOKEN>',
    },
  }),
  Qwen2Tokenizer: ({ addPrefixSpace }) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: qwen('\\p{L}', addPrefixSpace ?? false),
    decoder: byteLevel,
    byteFallback: false,
    tokens: { eos_token: end, unk_token: end, pad_token: end },
  }),
  Qwen3_5Tokenizer: ({ addPrefixSpace }) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: qwen('\\p{L}\\p{M}', addPrefixSpace ?? false),
    decoder: byteLevel,
    byteFallback: false,
    tokens: { eos_token: end, unk_token: end, pad_token: end },
  }),
  GPT2Tokenizer: ({ addPrefixSpace }) => ({
    normalizer: null,
    pre_tokenizer: toBytes(addPrefixSpace ?? false),
    decoder: byteLevel,
    byteFallback: false,
    tokens: allEnds,
  }),
  GPTNeoXTokenizer: ({ addPrefixSpace }) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: toBytes(addPrefixSpace ?? false),
    decoder: byteLevel,
    byteFallback: false,
    around: 'nothing',
    tokens: { ...allEnds, pad_token: '<|padding|>' },
  }),
  CodeGenTokenizer: ({ addPrefixSpace }) => ({
    normalizer: null,
    pre_tokenizer: toBytes(addPrefixSpace ?? false),
    decoder: byteLevel,
    byteFallback: false,
    tokens: allEnds,
  }),
};

// Classes of other kinds of models, which build all of a pipeline too, or are written in Python.
const OTHERS = new Set(
  (
    'Albert Bart Barthez Bartpho BertGeneration BertJapanese Bert Bertweet BigBird BioGpt Blenderbot BlenderbotSmall ByT5 CLIP CTRL ' +
    'Camembert Canine Clvp Cpm CpmAnt DPRContextEncoder DPRQuestionEncoder DPRReader Deberta DebertaV2 Dia DistilBert Esm Esmc FSMT ' +
    'FastSpeech2Conformer Flaubert Funnel GPTNeoXJapanese GPTSw3 Herbert LED Lasr LayoutLMv2 LayoutLMv3 LayoutXLM Luke Lxmert M2M100 ' +
    'MBart50 MBart MLuke MPNet Marian MarkupLM Mgpstr MobileBert Mvp MyT5 Nllb Nougat OpenAIGPT PLBart Pegasus Perceiver Phobert ' +
    'Pop2Piano ProphetNet Rag Reformer RemBert RoCBert RoFormer Roberta SeamlessM4T Siglip2 Siglip Speech2Text SpeechT5 Splinter ' +
    'SqueezeBert T5 Tapas Tipsv2 Udop VideoPrism Vits Wav2Vec2CTC Wav2Vec2PhonemeCTC Whisper XGLM XLM XLMRoberta XLNet'
  ).split(' '),
);

/**
 * What a user should know of the class that a file names, in one line at most. tokenizer.json is followed whatever the
 * class; for a checkpoint of the type mistral transformers does so too.
 */
export function classWarnings(tokens: TokenizerPipeline, files: TokenizerFiles): string[] {
  const name = files.tokenizerClass?.replace(/Fast$/, '');
  if (name === undefined || files.modelType === 'mistral') return [];
  const built = BUILT[name]?.(files.classOptions);
  if (built === undefined && !OTHERS.has(name.replace(/Tokenizer$/, ''))) return [];
  const parts = built === undefined ? ['pipeline'] : differences(built, tokens, files);
  if (parts.length === 0) return [];
  const listed = parts.length === 1 ? parts[0] : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
  return [
    `the tokenizer's class is ${files.tokenizerClass}, for which transformers 5 replaces the ${listed} of ` +
      'tokenizer.json: tokenizer.json is followed, so token ids or decoded texts can differ from transformers 5',
  ];
}

interface File {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly decoder?: unknown;
  readonly post_processor?: unknown;
  readonly model: Readonly<Record<string, unknown>>;
}

/** The parts of tokenizer.json in whose place the class puts something else. */
function differences(built: Built, tokens: TokenizerPipeline, files: TokenizerFiles): string[] {
  const file = files.tokenizer as File;
  const bos = tokens.idOf(files.tokens.named['bos_token'] ?? built.tokens['bos_token'] ?? '');
  return [
    ...(isSame(file.normalizer, built.normalizer) ? [] : ['normalizer']),
    ...(isSame(file.pre_tokenizer, built.pre_tokenizer) ? [] : ['pre_tokenizer']),
    ...(isSame(file.decoder, built.decoder, ['add_prefix_space', 'use_regex']) ? [] : ['decoder']),
    ...(isSameModel(file.model, built, tokens) ? [] : ['model']),
    ...(isSameAround(file.post_processor, built.around, bos) ? [] : ['post_processor']),
    ...(isSameTokens(built.tokens, tokens, files) ? [] : ['special tokens']),
  ];
}

function isSame(one: unknown, other: unknown, without: readonly string[] = []): boolean {
  return isSameJson(plain(one ?? null, without), plain(other, without));
}

function isSameJson(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || one === null || typeof other !== 'object' || other === null) return one === other;
  if (Array.isArray(one) !== Array.isArray(other) || Object.keys(one).length !== Object.keys(other).length)
    return false;
  return Object.entries(one).every(
    ([key, value]) => Object.hasOwn(other, key) && isSameJson(value, other[key as keyof typeof other]),
  );
}

/** A step without what does not change its effect. */
function plain(step: unknown, without: readonly string[]): unknown {
  if (step === null || typeof step !== 'object') return step;
  const { type, ...options } = step as Record<string, unknown>;
  const inner = options['normalizers'] ?? options['pretokenizers'] ?? options['decoders'];
  if (type === 'Sequence' && Array.isArray(inner)) {
    const all = inner.map((each) => plain(each, without)).filter((each) => each !== null);
    return all.length === 0 ? null : all.length === 1 ? all[0] : all;
  }
  const kept = Object.entries(options).filter(
    ([name, value]) =>
      !without.includes(name) &&
      name !== 'trim_offsets' &&
      !(name === 'use_regex' && value === true) &&
      !(name === 'invert' && value === false),
  );
  return { type, ...Object.fromEntries(kept) };
}

/** Byte-pair encoding without options, for whose vocabulary nothing is unknown. */
function isSameModel(model: File['model'], { byteFallback }: Built, tokens: TokenizerPipeline): boolean {
  const bytes = byteFallback
    ? byteCharacters.map((_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
    : byteCharacters;
  return (
    tokens.modelType === 'BPE' &&
    bytes.every((byte) => tokens.vocabulary.has(byte)) &&
    (model['byte_fallback'] ?? false) === byteFallback &&
    (model['ignore_merges'] ?? false) === false &&
    (model['continuing_subword_prefix'] ?? '') === '' &&
    (model['end_of_word_suffix'] ?? '') === ''
  );
}

function isSameAround(value: unknown, around: Built['around'], bos: number | undefined): boolean {
  if (around === undefined) return true;
  const { before, after } = readPostProcessor(value);
  return isSameJson([before, after], [around === 'bos' && bos !== undefined ? [bos] : [], []]);
}

function isSameTokens(defaults: Built['tokens'], tokens: TokenizerPipeline, files: TokenizerFiles): boolean {
  const { given, replacesAddedTokens } = files.classOptions;
  const added = new Set([...tokens.addedTokens.values()].map(({ content }) => content));
  const named = new Set(Object.values(files.tokens.named));
  const ownNames = Object.entries(defaults).filter(([name]) => !given.has(name));
  if (ownNames.some(([name, text]) => !added.has(text) || name === 'bos_token' || name === 'eos_token')) return false;
  if (!replacesAddedTokens) return true;
  const listed = files.tokens.ids.filter(({ file }) => file === 'tokenizer.json');
  const kept = new Set(files.tokens.ids.filter(({ file }) => file !== 'tokenizer.json').map(({ content }) => content));
  return listed.every(({ content }) => kept.has(content) || named.has(content));
}
