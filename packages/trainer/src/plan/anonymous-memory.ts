import { readFileSync } from 'node:fs';

/** Memory of this process that no file backs; where the system does not say, all that is resident. */
export function anonymousBytes(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return line === null ? process.memoryUsage.rss() : Number(line[1]) * 1024;
}

/** Look at it ten times a second; `peak` is the most that was seen. */
export function watchAnonymousMemory(): { readonly peak: () => number; readonly stop: () => void } {
  let most = anonymousBytes();
  const look = (): number => (most = Math.max(most, anonymousBytes()));
  const timer = setInterval(look, 100).unref();
  return { peak: look, stop: () => clearInterval(timer) };
}
