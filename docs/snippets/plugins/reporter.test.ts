import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { testReporter } from '@glulam/testing';
import { csv } from './reporter.js';

testReporter(csv, {
  written({ folder }) {
    const file = path.join(folder, 'losses.csv');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  },
});
