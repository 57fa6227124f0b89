import type { DataFormat } from '@glulam/trainer';
import type { Row } from './row-parts.js';

/**
 * A format that leaves out rows whose answer is not to be learnt: it is marked as unwanted (KTO: `label` in TRL, `kto_tag`
 * in LLaMA-Factory), or stands in `chosen`, so that the conversation waits for it.
 */
export function withoutUnwanted<Options>(format: DataFormat<Options>): DataFormat<Options> {
  return {
    ...format,
    read(row, options) {
      const text = format.read(row, options);
      if ('skip' in text) return text;
      // Beside texts and questions a label is often one of a class.
      const verdicts = 'messages' in text || 'completion' in text ? ['label', 'kto_tag'] : ['kto_tag'];
      const verdict = verdicts.find((key) => row[key] === false);
      if (verdict !== undefined)
        return { skip: `its "${verdict}" is false: an answer that is not wanted is not learnt` };
      if (!isPair(row) || !('messages' in text) || text.messages.at(-1)?.role === 'assistant') return text;
      return {
        skip: 'its answers are "chosen" and "rejected": pairs are not trained on; put the chosen one after the conversation',
      };
    },
  };
}

const isPair = (row: Row): boolean =>
  [row['chosen'], row['rejected']].every((each) => each !== undefined && each !== null);
