#!/usr/bin/env node
import { main } from '../dist/setup/cli.js';

process.exitCode = main(process.argv.slice(2));
