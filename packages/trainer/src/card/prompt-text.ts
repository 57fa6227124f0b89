import type { PromptForm } from '../data/prompt/prompt-form.js';

/** What a card says of a model's prompts. */
export type CardPrompt = Pick<PromptForm, 'kind' | 'text'>;

/** The prompt after which the answers were learnt, and an example of it as programs write it. */
export function promptText({ kind, text = '' }: CardPrompt): string {
  if (kind === 'conversation')
    return (
      "It was trained on conversations in a chat template. Where that is the base's, transformers renders it with " +
      '`tokenizer.apply_chat_template(messages, add_generation_prompt=True)` and Glulam with `glulam generate REPOSITORY --chat --prompt "..."`.'
    );
  // Longer than any run of backticks inside.
  const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  const example = text.replaceAll('{question}', 'How many legs do two spiders have?');
  return (
    `It was trained to answer after this text, with the question in the place of \`{question}\`, and answers badly without it:\n\n` +
    `${fence}text\n${text}\n${fence}\n\n` +
    `As a string, with an example:\n\n${fence}python\nprompt = ${JSON.stringify(example)}\n${fence}`
  );
}
