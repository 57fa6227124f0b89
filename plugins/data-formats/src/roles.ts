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
  ['function', 'function'],
  ['function_call', 'assistant'],
]);
/** Roles that templates know by these names. */
const roles = new Set([...speakers.values(), 'observation', 'ipython', 'tool_response']);

/** ShareGPT's names of speakers as roles, in any case; undefined: none of them. */
export const roleOfSpeaker = (name: string): string | undefined => speakers.get(name.toLowerCase());

/** A role as templates know it. One that is known to nobody here is left as it is: the template may know it. */
export function roleOfName(name: string): string {
  const lower = name.toLowerCase();
  return roles.has(lower) ? lower : (speakers.get(lower) ?? name);
}

/** What `from` may be, for reasons. */
export const speakerNames = (): string => [...speakers.keys()].join(', ');
