import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createChatTemplate, type SpecialTokens, type ChatMessage } from '../chat-template.js';
import { ModelError } from '../../errors.js';

interface Given {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  readonly add_generation_prompt?: boolean;
  readonly enable_thinking?: boolean;
}
interface Outcome {
  readonly text?: string;
  readonly raises?: string;
  readonly generation?: readonly string[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../../../../fixtures/jinja/templates.json', import.meta.url), 'utf8'),
) as {
  readonly special: SpecialTokens;
  readonly templates: Readonly<Record<string, string>>;
  readonly conversations: Readonly<Record<string, Given>>;
  readonly cases: readonly (readonly [template: string, conversation: string, Outcome])[];
};

describe('templates built as those of model families', () => {
  it.each(fixture.cases)('%s: %s', (name, conversation, expected) => {
    const template = createChatTemplate(fixture.templates[name]!, fixture.special);
    const {
      messages,
      tools,
      documents,
      add_generation_prompt: addGenerationPrompt,
      ...variables
    } = fixture.conversations[conversation]!;
    const render = () => template.renderWithSpans(messages, { tools, documents, addGenerationPrompt, variables });
    if (expected.text === undefined) {
      expect(render).toThrow(ModelError);
      expect(render).toThrow(expect.objectContaining({ code: 'CHAT_TEMPLATE_FAILED' }));
      return;
    }
    const { text, generation } = render();
    expect(text).toBe(expected.text);
    expect(generation.map(({ start, end }) => text.slice(start, end))).toEqual(expected.generation ?? []);
  });
});
