import { TensorsError } from '../errors.js';

/** Whether there is a label for each row, and none beyond the vocabulary. */
export function checkLabels(labels: Int32Array, rows: number, vocabulary: number): void {
  if (labels.length !== rows) {
    throw new TensorsError(
      'SHAPE_MISMATCH',
      `tokenLosses got ${labels.length} labels; expected one for each of ${rows} rows`,
    );
  }
  const beyond = labels.findIndex((label) => label >= vocabulary);
  if (beyond >= 0) {
    throw new TensorsError(
      'BAD_ARGUMENT',
      `tokenLosses got token ${labels[beyond]} at ${beyond}; the vocabulary has ${vocabulary}: the tokenizer and the checkpoint do not belong together`,
    );
  }
}
