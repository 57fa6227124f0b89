import { flexibleAnswer, sameAnswer, sameFirstAnswer, strictAnswer, chainAnswer, firstAnswer } from './answers.js';
import { workedExamples } from './worked-examples.js';

export interface Problem {
  readonly question: string;
  /** With its reasoning, `<<...>>` and `#### N`. */
  readonly answer: string;
}

/** A way of finding an answer in a text, and of telling whether it is right. */
interface Rule {
  find(text: string): string | null;
  isRight(found: string, expected: string): boolean;
}

/** Whose prompts and rules. */
export interface Profile {
  /** Examples before a problem, where the config says nothing. */
  readonly shots: number;
  /** Examples of its own, of which the first are taken; else they are drawn from the config's file. */
  readonly examples?: readonly Problem[];
  readonly stop: readonly string[];
  ask(question: string): string;
  /** What is compared, of a problem's answer. */
  expected(answer: string): string;
  /** A right answer as a model might write it, from a problem's answer. */
  right(answer: string): string;
  /** By the names of the scores. */
  readonly rules: Readonly<Record<string, Rule>>;
}

const whole = (answer: string): string => answer;
const numberOf = (answer: string): string => answer.split('####').at(-1)!.trim();
const ends = ['</s>', '<|im_end|>'];
const flexible: Rule = { find: flexibleAnswer, isRight: sameAnswer };

export const profiles = {
  /** lm-evaluation-harness 0.4's task gsm8k. */
  current: {
    shots: 5,
    stop: ['Question:', ...ends],
    ask: (question) => `Question: ${question}\nAnswer:`,
    expected: whole,
    right: whole,
    rules: { strict: { find: strictAnswer, isRight: sameAnswer }, flexible },
  },
  /** The first Open LLM Leaderboard's: lm-evaluation-harness 0.3. */
  v1: {
    shots: 5,
    stop: [':', 'Question:', 'Question'],
    ask: (question) => `Question: ${question}\nAnswer:`,
    expected: whole,
    right: whole,
    rules: { accuracy: { find: firstAnswer, isRight: sameFirstAnswer } },
  },
  /** lm-evaluation-harness 0.4's task gsm8k_cot. */
  cot: {
    shots: 8,
    examples: workedExamples,
    stop: ['Q:', ...ends],
    ask: (question) => `Q: ${question}\nA:`,
    expected: numberOf,
    right: (answer) => `The answer is ${numberOf(answer)}.`,
    rules: { strict: { find: chainAnswer, isRight: sameAnswer }, flexible },
  },
} satisfies Record<string, Profile>;
export type ProfileName = keyof typeof profiles;
