import { testEngine } from '@glulam/testing';
import { myKindEngine } from './index.js';

testEngine('my_kind', (precision) => myKindEngine.open({}, { precision }));
