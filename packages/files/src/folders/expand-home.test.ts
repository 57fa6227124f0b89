import { homedir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { expandHome } from './expand-home.js';

test.each([
  ['~/models/base', path.join(homedir(), 'models/base')],
  ['~other/base', '~other/base'],
  ['a/~/b', 'a/~/b'],
  ['./~/b', './~/b'],
  ['', ''],
])('%s is %s', (name, expanded) => expect(expandHome(name)).toBe(expanded));
