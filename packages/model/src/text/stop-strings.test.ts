import { describe, expect, it } from 'vitest';
import { createStopStrings } from './stop-strings.js';

describe('createStopStrings', () => {
  it('holds back what may become a stop string and lets it go when it does not', () => {
    const stops = createStopStrings(['###', '\nQuestion:']);
    expect(stops.push('7\n')).toEqual({ text: '7', stop: undefined });
    expect(stops.push('Qu')).toEqual({ text: '', stop: undefined });
    expect(stops.push('ick #')).toEqual({ text: '\nQuick ', stop: undefined });
    expect(stops.push('# #')).toEqual({ text: '## ', stop: undefined });
    expect(stops.finish()).toBe('#');
  });

  it('cuts before the stop string and passes nothing on after it', () => {
    const stops = createStopStrings(['END']);
    expect(stops.push('one E')).toEqual({ text: 'one ', stop: undefined });
    expect(stops.push('ND two')).toEqual({ text: '', stop: 'END' });
    expect(stops.push('three')).toEqual({ text: '', stop: 'END' });
    expect(stops.finish()).toBe('');
  });

  it('takes the first to be completed, and of those the longest, however the pieces break', () => {
    for (const pieces of [['xabcd'], ['xab', 'cd'], ['x', 'a', 'b', 'c', 'd']]) {
      const first = createStopStrings(['abcd', 'bc']);
      const results = pieces.map((piece) => first.push(piece));
      expect(results.map((result) => result.text).join('')).toBe('xa');
      expect(results.at(-1)!.stop).toBe('bc');
      const longest = createStopStrings(['cd', 'bcd']);
      expect(pieces.map((piece) => longest.push(piece).text).join('')).toBe('xa');
    }
  });

  it('passes everything on where there are none', () => {
    const stops = createStopStrings([]);
    expect(stops.push('as it is')).toEqual({ text: 'as it is', stop: undefined });
  });

  it('refuses an empty stop string', () => {
    expect(() => createStopStrings(['a', ''])).toThrow(
      expect.objectContaining({
        code: 'GENERATION_INVALID',
        message: expect.stringContaining('stop: got an empty string at position 1') as string,
      }),
    );
  });
});
