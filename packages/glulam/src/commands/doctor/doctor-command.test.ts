import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseArguments } from '../../cli/arguments.js';
import { doctorCommand } from './doctor-command.js';

const doctor = (...words: string[]) => doctorCommand.run(parseArguments(words), new AbortController().signal);

afterEach(() => vi.restoreAllMocks());

describe('glulam doctor', () => {
  it('tells the machine and every engine, each loaded or with the reason why not', async () => {
    const printed: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((piece) => (printed.push(String(piece)), true));
    await doctor();
    const text = printed.join('');
    expect(text).toMatch(/^glulam +\d+\.\d+\.\d+$/m);
    expect(text).toContain(process.versions.node);
    expect(text).toMatch(/^processor +.+, \d+ threads for this process$/m);
    expect(text).toMatch(/^memory +[\d.]+ GB available of [\d.]+ GB/m);
    expect(text).toMatch(/^cache +\//m);
    expect(text).toMatch(/^ {2}\+ reference +plain TypeScript/m);
    expect(text).toMatch(/^ {2}\+ native +.*plain; \d+ thread/m);
    expect(text).toMatch(/^ {2}\+ tfjs wasm +.*WebAssembly/m);
    for (const backend of ['node-gpu', 'node', 'webgpu', 'cpu'])
      expect(text).toMatch(new RegExp(`^ {2}[+-] tfjs ${backend} +\\S`, 'm'));
    for (const line of text.split('\n').filter((each) => each.startsWith('  - ')))
      expect(line).toMatch(/npm |npx |Mesa/);
  });

  it('takes no arguments', async () => {
    await expect(doctor('all')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(doctor('--verbose')).rejects.toThrow('got --verbose');
  });
});
