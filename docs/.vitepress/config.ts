import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vitepress';
import { linkFiles } from './linked-files.js';
import { nav, sidebar } from './navigation.js';

export default defineConfig({
  title: 'Glulam',
  description: 'Fine-tunes language models deeper than the one that they are made of',
  // A project's site on GitHub lies below its name, which the workflow gives.
  base: process.env['DOCS_BASE'] ?? '/',
  cleanUrls: true,
  head: [['style', {}, readFileSync(path.join(import.meta.dirname, 'tables.css'), 'utf8')]],
  srcExclude: ['snippets/**', 'figures/**'],
  markdown: { config: linkFiles },
  themeConfig: {
    search: { provider: 'local' },
    outline: 'deep',
    nav,
    sidebar,
  },
});
