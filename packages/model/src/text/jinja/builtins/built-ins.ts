import { listFilters } from './list-filters.js';
import { filters, tests } from './registry.js';
import { builtInTests } from './tests.js';
import { textFilters } from './text-filters.js';

for (const [name, filter] of [...Object.entries(textFilters), ...Object.entries(listFilters)])
  filters.set(name, filter);
for (const [name, test] of Object.entries(builtInTests)) tests.set(name, test);

export { filters, tests };
