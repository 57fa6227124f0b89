import { visibleLine } from '@glulam/trainer';
import type { Output } from './output.js';

/** One line, drawn again in place, on a terminal; nothing elsewhere. */
export function progressLine(output: Output) {
  let shown = -Infinity;
  return {
    show(text: string): void {
      if (!output.isTTY || performance.now() - shown < 100) return;
      shown = performance.now();
      output.writeDrawn(`\r\u001b[K${visibleLine(text).slice(0, (output.columns || 80) - 1)}`);
    },
    clear(): void {
      if (shown > -Infinity) output.writeDrawn('\r\u001b[K');
      shown = -Infinity;
    },
  };
}
