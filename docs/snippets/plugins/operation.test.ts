import { testOperation } from '@glulam/testing';
import { squaredRelu } from './operation.js';

testOperation(squaredRelu, {
  cases: [{ name: 'both sides of 0', inputs: { x: { shape: [4, 5] } }, options: undefined }],
});
