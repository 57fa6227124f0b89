/** One line, drawn again in place, on a terminal; nothing elsewhere. */
export function progressLine(output: NodeJS.WriteStream) {
  let shown = 0;
  return {
    show(text: string): void {
      if (!output.isTTY || Date.now() - shown < 100) return;
      shown = Date.now();
      output.write(`\r\u001b[K${text.slice(0, (output.columns || 80) - 1)}`);
    },
    clear(): void {
      if (shown > 0) output.write('\r\u001b[K');
      shown = 0;
    },
  };
}
