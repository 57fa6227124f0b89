/** `data.prompt` of a config that has none. */
export const defaultPrompt = 'Question: {question}\nAnswer:';

// Braces that are doubled, or a name in braces. What else is in braces, over a line end or with quotes, is text.
const parts = /\{\{|\}\}|\{([^{}"'\n]+)\}/g;

/** The columns that a prompt names. */
export function promptNames(prompt: string): string[] {
  return [...new Set([...prompt.matchAll(parts)].flatMap(([, name]) => (name === undefined ? [] : [name])))];
}

/** A prompt with its names replaced; `{{` and `}}` are braces. */
export function fillPrompt(prompt: string, valueOf: (name: string) => string): string {
  return prompt.replace(parts, (found, name: string | undefined) => (name === undefined ? found[0]! : valueOf(name)));
}
