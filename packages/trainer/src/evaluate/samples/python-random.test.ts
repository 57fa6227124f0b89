import { expect, test } from 'vitest';
import { createPythonRandom } from './python-random.js';

// Values that CPython 3.11 gave.
test('draws as random.Random does', () => {
  const drawn = createPythonRandom(1234);
  expect([1, 2, 3].map(() => drawn.sample(7473, 5))).toEqual([
    [6374, 3610, 957, 61, 742],
    [7462, 6610, 4769, 286, 5501],
    [5677, 687, 806, 6279, 2905],
  ]);
  const shuffled = createPythonRandom(42);
  const list = Array.from({ length: 20 }, (_, i) => i);
  shuffled.shuffle(list);
  expect(list).toEqual([19, 5, 14, 4, 9, 13, 15, 18, 6, 12, 17, 10, 1, 11, 2, 16, 7, 8, 0, 3]);
  expect(shuffled.sample(100, 5)).toEqual([71, 25, 91, 83, 89]);
  expect(shuffled.sample(10, 5)).toEqual([8, 6, 3, 7, 4]);
  const larger = createPythonRandom(7);
  expect(larger.sample(200, 8)).toEqual([82, 38, 101, 166, 12, 18, 137, 24]);
  expect(larger.sample(2000, 8)).toEqual([748, 1193, 118, 1863, 1039, 439, 76, 176]);
});

test('takes seeds of more than 32 bits, and limits of 31', () => {
  const long = createPythonRandom(2 ** 40 + 7);
  expect([1, 2, 3, 4].map(() => long.below(1000))).toEqual([628, 765, 834, 960]);
  const zero = createPythonRandom(0);
  expect([1, 2, 3].map(() => zero.below(2 ** 31))).toEqual([1654615998, 1806341205, 173879092]);
});
