import { equalValues, shortList } from '@glulam/files';
import type { StoredCheckpoint } from '../checkpoints/checkpoint-reader.js';
import type { CheckpointConfig } from '../families/checkpoint-config.js';
import { ModelError } from '../errors.js';
import { weightName, type ModelSpec } from '../families/model-spec.js';
import { checkTensors } from './check-tensors.js';
import type { CheckpointTensors } from './checkpoint-tensors.js';
import { namesOtherHead, otherHeads } from './missing-advice.js';
import { expectedTensors } from './expected-tensors.js';

/** What `config.json` and the weights together say of a base; everything that computes or writes follows this. */
interface SettledTensors {
  /** As described, but `head.tied` is what the stored tensors make it. */
  readonly spec: ModelSpec;
  /** By the names of `spec`, with only the tensors that it names. */
  readonly files: CheckpointTensors;
  readonly warnings: readonly string[];
}

/** Buffers that old checkpoints hold and that follow from `config.json`: frequencies, causal masks, positions. */
const derived =
  /(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|masked_bias|position_ids|(self_attn|attention|attn)\.bias)$/;

/**
 * Open a base's weights and check them against its `config.json`, as `from_pretrained` of transformers 5.18 reads them:
 *
 * - The prefix of the inner model (`model.`) may be missing or doubled, in any tensor's name.
 * - Where `tie_word_embeddings` is true, one of embedding and head may be missing, and the other one stands for both. If
 *   both are stored and differ, they are not tied.
 *
 * @throws ModelError CHECKPOINT_INVALID, QUANTIZED_UNSUPPORTED; TensorsError as `openCheckpointFiles`
 */
export async function settleTensors(
  { documents: { folder }, openTensors }: Pick<StoredCheckpoint, 'documents' | 'openTensors'>,
  config: CheckpointConfig,
  described: ModelSpec,
): Promise<SettledTensors> {
  const [embedding, head] = [weightName(described.embedding.name), weightName(described.head.name)];
  const withHead = (tied: boolean): ModelSpec => ({ ...described, head: { ...described.head, tied } });
  const expected = expectedTensors(withHead(false));
  const nameOf = modelNames(described, expected);
  const stored = await openTensors((name) => nameOf(name) !== undefined);
  const storedAs = new Map<string, string>();
  for (const name of stored.names()) {
    const known = nameOf(name);
    if (known === undefined) continue;
    const other = storedAs.get(known);
    if (other !== undefined)
      throw new ModelError(
        'CHECKPOINT_INVALID',
        `the weights in ${folder} hold ${known} twice, as ${other} and as ${name}; expected one of them: remove the other`,
      );
    storedAs.set(known, name);
  }
  const read = new Set(storedAs.values());
  const unread = stored.names().filter((name) => !read.has(name));

  if (described.head.tied && !(storedAs.has(embedding) && storedAs.has(head))) {
    const single = storedAs.get(embedding) ?? storedAs.get(head);
    if (single !== undefined) storedAs.set(embedding, single);
    storedAs.delete(head);
    expected.delete(head);
  }
  const files = byModelName(stored, storedAs);
  checkTensors(files, expected, { config, spec: described, unread, nameOf });

  const tiedHead =
    described.head.tied && (!files.has(head) || (await equalValues(files.source(embedding), files.source(head))));
  // `architectures` has been reported already where it names such a head.
  const isReported = namesOtherHead(config) ? otherHeads : undefined;
  const counted = unread.filter((name) => !derived.test(name) && isReported?.test(name) !== true);
  const warnings = [
    ...stored.warnings,
    ...(described.head.tied && !tiedHead
      ? [
          `${config.file} says that the head is the embedding (tie_word_embeddings), but ${head} and ${embedding} are stored with different values: each is used as it is stored`,
        ]
      : []),
    ...(counted.length > 0
      ? [
          `the weights in ${folder} hold ${counted.length === 1 ? 'a tensor that has' : `${counted.length} tensors that have`} no place in the model that config.json describes, so nothing reads ${counted.length === 1 ? 'it' : 'them'}: ${shortList(counted)}`,
        ]
      : []),
  ];
  return { spec: withHead(tiedHead), files, warnings };
}

/** The model's name of a stored tensor, or undefined where the model has no such tensor. */
function modelNames(
  { layersPath }: ModelSpec,
  expected: ReadonlyMap<string, unknown>,
): (stored: string) => string | undefined {
  const prefix = `${layersPath.split('.')[0]}.`;
  return (stored) =>
    [stored, ...(stored.startsWith(prefix) ? [stored.slice(prefix.length)] : []), `${prefix}${stored}`].find((name) =>
      expected.has(name),
    );
}

function byModelName(stored: CheckpointTensors, storedAs: ReadonlyMap<string, string>): CheckpointTensors {
  const named = (name: string): string => storedAs.get(name) ?? name;
  return {
    ...stored,
    names: () => [...storedAs.keys()],
    has: (name) => storedAs.has(name),
    entry: (name) => stored.entry(named(name)),
    source: (name) => ({ ...stored.source(named(name)), name }),
  };
}
