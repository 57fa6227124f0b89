/** A point of a curve: a step and its loss. */
interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

const [width, height] = [640, 260];
const frame = { left: 56, right: 16, top: 30, bottom: 36 };
/** More points than pixels show nothing more. */
const mostPoints = 560;

/** The losses of a run's steps as an SVG picture, with those of held-out data as dots where there are any. */
export function lossChart(train: readonly LossPoint[], heldOut: readonly LossPoint[]): string {
  const all = [...train, ...heldOut];
  const lastStep = all.reduce((last, { step }) => Math.max(last, step), 1);
  const [low, high] = spread(all.map(({ loss }) => loss));
  const x = (step: number): number => frame.left + (step / lastStep) * (width - frame.left - frame.right);
  const y = (loss: number): number => {
    const share = high === low ? 0.5 : (loss - low) / (high - low);
    return height - frame.bottom - share * (height - frame.top - frame.bottom);
  };
  const at = ({ step, loss }: LossPoint): string => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`;
  const lines = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const loss = low + share * (high - low);
    const place = y(loss).toFixed(1);
    return (
      `<line x1="${frame.left}" x2="${width - frame.right}" y1="${place}" y2="${place}" stroke="#ddd"/>` +
      `<text x="${frame.left - 6}" y="${place}" text-anchor="end" dominant-baseline="middle">${loss.toPrecision(3)}</text>`
    );
  });
  const steps = [0, 0.5, 1].map((share) => {
    const step = Math.round(share * lastStep);
    return `<text x="${x(step).toFixed(1)}" y="${height - 14}" text-anchor="middle">${step}</text>`;
  });
  const dots = heldOut.map((point) => {
    const [cx, cy] = at(point).split(',');
    return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="#d1495b"/>`;
  });
  const legend = [
    `<text x="${frame.left}" y="18" fill="#2e6f95">training loss</text>`,
    ...(heldOut.length > 0 ? [`<text x="${frame.left + 100}" y="18" fill="#d1495b">held-out loss</text>`] : []),
    `<text x="${width - frame.right}" y="18" text-anchor="end">step</text>`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="#444">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...lines,
    ...steps,
    ...legend,
    `<polyline fill="none" stroke="#2e6f95" stroke-width="1.5" points="${thin(train).map(at).join(' ')}"/>`,
    ...dots,
    '</svg>',
    '',
  ].join('\n');
}

/** Means of neighbours, where there are more points than can be told apart. */
function thin(points: readonly LossPoint[]): LossPoint[] {
  const size = Math.ceil(points.length / mostPoints);
  if (size <= 1) return [...points];
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const group = points.slice(i * size, (i + 1) * size);
    const mean = (of: (point: LossPoint) => number): number =>
      group.reduce((sum, point) => sum + of(point), 0) / group.length;
    return { step: mean(({ step }) => step), loss: mean(({ loss }) => loss) };
  });
}

/** Not by Math.min of a spread: runs have more steps than a call has arguments. */
function spread(values: readonly number[]): [low: number, high: number] {
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return values.length === 0 ? [0, 1] : [low, high];
}
