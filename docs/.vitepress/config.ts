import { defineConfig } from 'vitepress';
import { linkFiles } from './linked-files.js';
import { nav, sidebar } from './navigation.js';

export default defineConfig({
  title: 'Glulam',
  description: 'Fine-tunes language models deeper than the one that they are made of',
  // A project's site on GitHub lies below its name, which the workflow gives.
  base: process.env['DOCS_BASE'] ?? '/',
  cleanUrls: true,
  srcExclude: ['snippets/**', 'figures/**'],
  markdown: { config: linkFiles },
  themeConfig: {
    search: { provider: 'local' },
    outline: 'deep',
    nav,
    sidebar,
  },
});
