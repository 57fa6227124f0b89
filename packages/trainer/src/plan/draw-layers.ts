import { usesOf, type VirtualLayer } from '@glulam/model';

const marks = { plain: '█', marked: '▒', none: '·' };
/** More rows than these say less than the counts below them. */
const mostRows = 16;

/**
 * Virtual layers drawn over the physical ones, a column a physical layer (or some of them, where `width` is too small):
 * a row for each stretch that goes upwards through the base, in the model's order, and how often each layer is used.
 */
export function drawLayers(physicalLayers: number, layers: readonly VirtualLayer[], width = 100): string[] {
  const stretches = stretchesOf(layers);
  const last = String(layers.length - 1).length;
  const label = (text: string): string => text.padStart(Math.max(8, 2 * last + 4));
  const perColumn = Math.max(1, Math.ceil(physicalLayers / Math.max(8, width - label('').length - 2)));
  const columns = Math.ceil(physicalLayers / perColumn);
  const rows = stretches.map(({ first, layers: stretch }) => {
    const cells = Array.from({ length: columns }, (_, column) => {
      const here = stretch.filter(({ physical }) => Math.floor(physical / perColumn) === column);
      if (here.length === 0) return marks.none;
      return here.some(isMarked) ? marks.marked : marks.plain;
    });
    const end = first + stretch.length - 1;
    return `${label(first === end ? `${first}` : `${first}..${end}`)}  ${cells.join('')}`;
  });
  const used = countUses(physicalLayers, layers);
  const counts = Array.from({ length: columns }, (_, column) => {
    const here = used.slice(column * perColumn, (column + 1) * perColumn);
    const most = Math.max(...here);
    return most > 9 ? '+' : String(most);
  });
  const shown = rows.length <= mostRows ? rows : rows.slice(0, mostRows - 1);
  return [
    `${label('physical')}  ${ruler(columns, perColumn)}`,
    ...shown,
    ...(shown.length < rows.length ? [`${label('...')}  ${rows.length - shown.length} more stretches`] : []),
    `${label('uses')}  ${counts.join('')}`,
    ...(layers.some(isMarked) ? [`${label('')}  ${marks.marked} with ${markedBy(layers)}`] : []),
    ...(perColumn > 1 ? [`${label('')}  a column is ${perColumn} layers`] : []),
  ];
}

interface Stretch {
  /** Index of its first virtual layer. */
  readonly first: number;
  readonly layers: VirtualLayer[];
}

function stretchesOf(layers: readonly VirtualLayer[]): Stretch[] {
  const stretches: Stretch[] = [];
  layers.forEach((layer, index) => {
    const before = stretches.at(-1);
    if (before !== undefined && before.layers.at(-1)!.physical < layer.physical) before.layers.push(layer);
    else stretches.push({ first: index, layers: [layer] });
  });
  return stretches;
}

function countUses(physicalLayers: number, layers: readonly VirtualLayer[]): number[] {
  const count = new Array<number>(physicalLayers).fill(0);
  const uses = usesOf(layers);
  layers.forEach(({ physical }, index) => (count[physical] = uses[index]! + 1));
  return count;
}

/** 0, 8, 16, ... above their columns. */
function ruler(columns: number, perColumn: number): string {
  const every = Math.max(8, Math.ceil(columns / 64) * 8);
  let line = '';
  for (let column = 0; column < columns; column += every) line = line.padEnd(column) + String(column * perColumn);
  return line;
}

const isMarked = ({ gate, residualScale, linearScales, weights }: VirtualLayer): boolean =>
  gate !== undefined || residualScale !== undefined || linearScales !== undefined || weights === 'own';

function markedBy(layers: readonly VirtualLayer[]): string {
  const scales = [...new Set(layers.flatMap(({ residualScale }) => residualScale ?? []))];
  const linears = layers.flatMap(({ linearScales }) => Object.entries(linearScales ?? {}));
  const linearScales = [...new Set(linears.map(([linear, scale]) => `${linear.split('.').at(-1)} ${scale}`))];
  return [
    layers.some(({ gate }) => gate !== undefined) ? 'a learned gate' : '',
    scales.length > 0 ? `residualScale ${shortList(scales)}` : '',
    linearScales.length > 0 ? `linearScales ${shortList(linearScales)}` : '',
    layers.some(({ weights }) => weights === 'own') ? 'weights of their own' : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
}

/** A gradient of scales has one per layer. */
const shortList = (values: readonly unknown[]): string =>
  values.length <= 8 ? values.join(', ') : `${values.slice(0, 7).join(', ')} and ${values.length - 7} more`;
