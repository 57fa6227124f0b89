/** A few of some names, and how many more there are: one line, however many it is about. */
export function shortList(names: readonly string[], most = 3): string {
  const more = names.length - most;
  return more > 0 ? `${names.slice(0, most).join(', ')} and ${more} more` : names.join(', ');
}

/** The same of lines of a message. */
export function shortLines(lines: readonly string[], most = 8): string {
  const more = lines.length - most;
  return [...lines.slice(0, most), ...(more > 0 ? [`and ${more} more`] : [])].join('\n  ');
}
