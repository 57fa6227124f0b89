import { testStrategy } from '@glulam/testing';
import { twins } from './expansion.js';

testStrategy(twins, {
  valid: [
    { physicalLayers: 4, options: { first: 1, last: 2 }, physical: [0, 1, 1, 2, 2, 3] },
    { physicalLayers: 2, options: { first: 1, last: 1, gate: 'learned' }, physical: [0, 1, 1] },
  ],
  invalid: [
    { physicalLayers: 4, options: { first: 1, last: 4 }, message: /layers 0 to 3/ },
    { physicalLayers: 4, options: { first: 2, last: 1 }, message: /first <= last/ },
    { physicalLayers: 4, options: { first: 1 }, message: /last/ },
  ],
});
