import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { compose, noteLoaded } from './index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-copies-'));

/** The index of an installed copy of a package. */
function install(place: string, version?: string): string {
  const at = path.join(folder, place);
  mkdirSync(path.join(at, 'dist'), { recursive: true });
  if (version !== undefined) writeFileSync(path.join(at, 'package.json'), JSON.stringify({ version }));
  return pathToFileURL(path.join(at, 'dist/index.js')).href;
}

test('a package loaded from two folders is a warning with versions and folders; from one, however often, it is none', () => {
  const one = install('one', '1.2.3');
  noteLoaded('@test/single', one);
  noteLoaded('@test/single', one);
  noteLoaded('@test/core', one);
  expect(compose([]).warnings).toEqual([]);
  noteLoaded('@test/core', install('two', '1.3.0'));
  noteLoaded('@test/core', install('bundled'));
  const [warning, ...others] = compose([]).warnings;
  expect(others).toEqual([]);
  expect(warning).toContain('@test/core is loaded 3 times');
  for (const part of [
    `1.2.3 in ${path.join(folder, 'one')}`,
    `1.3.0 in ${path.join(folder, 'two')}`,
    `unknown in ${path.join(folder, 'bundled')}`,
    'npm ls @test/core',
  ])
    expect(warning).toContain(part);
});
