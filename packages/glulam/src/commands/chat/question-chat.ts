import { generateText, type Conversation, type Decoder, type Tokenizer } from '@glulam/model';
import { promptTokens, type PromptForm } from '@glulam/trainer';
import { askAs } from '../../runs/run-prompt.js';

/**
 * A chat with a model that was trained on single questions: each message is one, written as in training, and earlier ones
 * are not shown to the model. The system's message is the form's column of that name.
 *
 * @param columns further columns of the form, the same for all messages
 */
export function createQuestionChat(
  decoder: Decoder,
  tokenizer: Tokenizer,
  form: PromptForm,
  columns: Readonly<Record<string, string>>,
): Conversation {
  let answering = decoder;
  let system: string | undefined;
  const textOf = (question: string, said = system) =>
    askAs(form, question, said === undefined ? columns : { ...columns, system: said });
  return {
    messages: [],
    answer: (message, options) => generateText(answering, tokenizer, promptTokens(tokenizer, textOf(message)), options),
    begin(said) {
      textOf('x', said); // refuses what the form has no place for
      system = said;
    },
    use(other) {
      answering = other;
    },
    close() {},
  };
}
