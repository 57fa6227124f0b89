// A Map: names such as "constructor" are in no row's power.
const speakers = new Map([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['chatgpt', 'assistant'],
  ['assistant', 'assistant'],
  ['bing', 'assistant'],
  ['bard', 'assistant'],
  ['bot', 'assistant'],
  ['ai', 'assistant'],
  ['system', 'system'],
  ['developer', 'developer'],
  ['tool', 'tool'],
  ['observation', 'tool'],
  ['tool_response', 'tool'],
  ['function_response', 'tool'],
  ['function', 'function'],
  ['function_call', 'assistant'],
  ['tool_call', 'assistant'],
]);
/** Roles that templates know by these names. */
const roles = new Set([...speakers.values(), 'observation', 'ipython', 'tool_response']);
/** Speakers whose text is a call, as JSON. */
export const callers: readonly string[] = ['function_call', 'tool_call'];

/** ShareGPT's names of speakers as roles, in any case; undefined: none of them. */
export const roleOfSpeaker = (name: string): string | undefined => speakers.get(name.toLowerCase());

/** A role as templates know it. One that is known to nobody here is left as it is: the template may know it. */
export function roleOfName(name: string): string {
  const lower = name.toLowerCase();
  if (callers.includes(lower)) return name;
  return roles.has(lower) ? lower : (speakers.get(lower) ?? name);
}

/** What `from` may be, for reasons. */
export const speakerNames = (): string => [...speakers.keys()].join(', ');
