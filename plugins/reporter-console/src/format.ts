/** Seconds as people say them: 8s, 1m 05s, 2h 03m. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours > 0) return `${hours}h ${String(minutes).padStart(2, '0')}m`;
  return minutes > 0 ? `${minutes}m ${String(rest).padStart(2, '0')}s` : `${rest}s`;
}

/** A count with its thousands parted: 325,632. */
export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** A bar of `width` characters. */
export function formatBar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

interface Progress {
  readonly figures: string;
  readonly speed: string;
  readonly left?: string | undefined;
  /** Shown as a bar. */
  readonly share?: number;
}

/**
 * A progress line of at most `width` characters: what does not fit is left out, the least needed first (the bar, the time
 * left, the speed), and what is then still too long is cut.
 */
export function formatProgress({ figures, speed, left, share }: Progress, width = Infinity): string {
  const rest = left === undefined ? '' : `  ${left} left`;
  const line = [`${figures}  ${speed}${rest}`, `${figures}  ${speed}`, figures].find((each) => each.length <= width);
  if (line === undefined) return figures.slice(0, Math.max(0, width));
  const room = Math.min(24, width - line.length - 1);
  return share !== undefined && room > 4 ? `${formatBar(share, room)} ${line}` : line;
}
