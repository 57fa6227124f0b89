// Glulam's side of check-masks: what its chat templates and tokenizers make of the conversations.
import { encodeMarked, openTokenizer } from '@glulam/model';

/**
 * Compares one tokenizer.
 *
 * @param {string} folder of the tokenizer
 * @param {{ templates: Record<string, { source: string; rewrites: boolean }>; conversations: { messages: any[]; tools?: any[] }[] }} cases
 * @param {[ids: number[], mask: [number, number][]][][]} outcomes of each template and conversation: of the whole, by the
 *   marks; where the template rewrites earlier turns, also of the texts that are learnt without marks
 * @returns how many texts were compared and how many differ, and the first that does, in words
 */
export function compareMasks(folder, { templates, conversations }, outcomes) {
  const counts = { compared: 0, ids: 0, masks: 0 };
  /** @type {string | undefined} */
  let first;
  let at = 0;
  for (const [name, { source, rewrites }] of Object.entries(templates)) {
    const marked = openTokenizer(folder, { chatTemplate: source });
    const plain = openTokenizer(folder, { chatTemplate: source.replaceAll(/\{% (end)?generation %\}/g, '') });
    for (const { messages, tools } of conversations) {
      const [whole, ...texts] = outcomes[at++];
      for (const [tokenizer, expected] of /** @type {const} */ ([
        [marked, [whole]],
        [plain, rewrites ? texts : [whole]],
      ])) {
        const learnt = tokenizer.chatTemplate?.renderLearnt(messages, { tools }) ?? [];
        const got = learnt.map(({ spans }) => encodeMarked(tokenizer, spans));
        counts.compared += expected.length;
        const fault = differenceOf(got, expected);
        if (fault === undefined) continue;
        counts[fault] += 1;
        first ??= describe(tokenizer, `${name}, ${tokenizer === marked ? 'with' : 'without'} marks`, got, expected);
      }
    }
  }
  return { ...counts, first };
}

/** @returns {'ids' | 'masks' | undefined} */
function differenceOf(got, expected) {
  const idsOf = (all) => JSON.stringify(all);
  if (idsOf(got.map(({ ids }) => ids)) !== idsOf(expected.map(([ids]) => ids))) return 'ids';
  const isSame = got.every(({ trained }, index) =>
    trained.every((flag, token) => flag === isIn(expected[index][1], token)),
  );
  return isSame ? undefined : 'masks';
}

const isIn = (ranges, token) => ranges.some(([from, to]) => token >= from && token < to);

function describe(tokenizer, what, got, expected) {
  const show = (ids, isTrained) =>
    ids
      .map(
        (id, token) =>
          `${isTrained(token) ? '*' : ''}${JSON.stringify(tokenizer.decode([id], { skipSpecialTokens: false }))}`,
      )
      .join(' ');
  const ours = got.map(({ ids, trained }) => show(ids, (token) => trained[token]));
  const theirs = expected.map(([ids, mask]) => show(ids, (token) => isIn(mask, token)));
  return `  ${what}\n  ours:   ${ours.join('\n          ')}\n  theirs: ${theirs.join('\n          ')}`;
}
