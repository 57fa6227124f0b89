import { expect, test } from 'vitest';
import { awaitModule } from './await-module.js';

test('gives what the module gives, and leaves no listener behind', async () => {
  const before = process.listenerCount('beforeExit');
  await expect(awaitModule(Promise.resolve({ default: 1 }))).resolves.toEqual({ default: 1 });
  await expect(awaitModule(Promise.reject(new Error('syntax')))).rejects.toThrow('syntax');
  expect(process.listenerCount('beforeExit')).toBe(before);
});

test('one that never settles is refused at its deadline, where other things keep the process alive', async () => {
  await expect(awaitModule(new Promise(() => {}), 20)).rejects.toThrow(
    /^it was not loaded within 0\.02 seconds \(a top-level await\); do what takes long in a function/,
  );
});
