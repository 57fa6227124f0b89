import { afterEach, expect, test, vi } from 'vitest';

// The examples run as their readers run them; what they print is what is looked at.
afterEach(() => vi.restoreAllMocks());

function printed(): string[] {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...words: unknown[]) => void lines.push(words.map(String).join(' ')));
  return lines;
}
const lossesIn = (lines: readonly string[]) =>
  lines.flatMap((line) => /^step \d+: loss (\d+\.\d+)/.exec(line)?.slice(1).map(Number) ?? []);

test('a pipeline trains, evaluates on request, stops by signal and goes on', async () => {
  const lines = printed();
  await import('../examples/pipelines/train-and-resume.js');
  expect(lines[0]).toMatch(/^plan: 325632 trainable parameters, peak \d+ MB: fits$/);
  expect(lossesIn(lines)).toHaveLength(6);
  expect(lines.filter((line) => line.startsWith('step 0: held-out'))).toHaveLength(1);
  expect(lines.filter((line) => line.startsWith('step 3: held-out'))).toHaveLength(1);
  expect(lines).toContain('stopped after step 6: interrupted');
  expect(lines.at(-1)).toMatch(/^went on to step 12; the adapter is in .*adapter$/);
});

test('decoder and trainer without config or plugins learn two answers', async () => {
  const lines = printed();
  const text: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => (text.push(String(piece)), true));
  await import('../examples/pipelines/train-by-hand.js');
  vi.restoreAllMocks();
  const losses = lossesIn(lines);
  expect(losses).toHaveLength(20);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
  expect(text.join('')).toMatch(/2 \+ 3 = 5/);
});
