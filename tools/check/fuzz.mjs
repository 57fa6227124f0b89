#!/usr/bin/env node
// Gives every reader of files 100,000 damaged inputs (CI: 2,000, as part of the tests). An input follows from its number
// alone, and a finding names it.
//
// usage: node tools/check/fuzz.mjs [INPUTS] [vitest options, such as -t mergekit]
import { prepare, runTool } from '../prepare.mjs';

const [first, ...rest] = process.argv.slice(2);
const given = first !== undefined && /^\d+$/.test(first);
prepare();
process.env['GLULAM_FUZZ'] = given ? first : '100000';
const options = given || first === undefined ? rest : [first, ...rest];
process.exitCode = runTool('vitest', ['run', 'fuzz', '--disable-console-intercept', ...options]);
