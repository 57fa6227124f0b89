export type { GoldenCase, GoldenFacts } from './golden.js';
export { frobenius, openGolden, rowsOf } from './golden.js';
