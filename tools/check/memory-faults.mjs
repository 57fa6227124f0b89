/** @typedef {{ step: number, tensors: number, bytes: number, anonymous: number }} MemoryRow */

const most = 16 * 2 ** 20;
/** The heap and caches fill during the first steps: a shorter run says nothing of growth. */
const longEnough = 100;

/**
 * What is wrong with the memory of a long run: live tensors that change between steps, or memory that no file backs and that
 * keeps growing in the second half.
 *
 * @param {readonly MemoryRow[]} rows
 * @returns {string[]}
 */
export function memoryFaults(rows) {
  // The first figure is from before training.
  const trained = rows.filter(({ step }) => step > 0);
  const half = trained.slice(Math.floor(trained.length / 2));
  const peak = (/** @type {readonly MemoryRow[]} */ some) => Math.max(...some.map(({ anonymous }) => anonymous));
  const grown = peak(half) - peak(trained.slice(0, -half.length));
  return [
    ...(trained.some(({ tensors, bytes }) => tensors !== trained[0].tensors || bytes !== trained[0].bytes)
      ? ['live tensors changed between steps']
      : []),
    ...(grown > most && trained[trained.length - 1].step >= longEnough
      ? [`anonymous memory grew by ${(grown / 2 ** 20).toFixed(1)} MiB in the second half`]
      : []),
  ];
}
