import { layerMap, usesOf, type VirtualLayer } from '@glulam/model';
import { palette, type Chart } from '@glulam/trainer';
import type { Outcome } from '../results/outcomes.js';

/** Uses from this one on are drawn alike. */
const lastTold = 4;
const useName = (use: number): string => (use + 1 >= lastTold ? `use ${lastTold} and later` : `use ${use + 1}`);

/** Each layer map once, with the names of its variants: virtual layers from top to bottom over the physical ones. */
export function layersChart(outcomes: readonly Outcome[]): Chart {
  const maps = new Map<
    string,
    { readonly names: string[]; readonly layers: readonly VirtualLayer[]; readonly physicalLayers: number }
  >();
  for (const { variant } of outcomes) {
    const { layers, physicalLayers } = variant.plan;
    const key = JSON.stringify(layers);
    const entry = maps.get(key) ?? { names: [], layers, physicalLayers };
    entry.names.push(variant.name);
    maps.set(key, entry);
  }
  const told = [...new Set([...maps.values()].flatMap(({ layers }) => usesOf(layers).map(useName)))].sort();
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    columns: 2,
    spacing: 40,
    concat: [...maps.values()].map(({ names, layers, physicalLayers }) => {
      const uses = usesOf(layers);
      const size = Math.max(3, Math.min(18, 360 / layers.length));
      const every = physicalLayers > 16 ? 8 : 4;
      return {
        title: {
          text: names.join(', '),
          subtitle: `${physicalLayers} layers as ${layers.length}: ${mapText(layers)}`,
          limit: 420,
        },
        width: { step: size },
        height: { step: size },
        data: {
          values: layers.map(({ physical }, virtual) => ({ physical, virtual, use: useName(uses[virtual]!) })),
        },
        mark: { type: 'rect', stroke: '#ffffff', strokeWidth: size > 6 ? 1 : 0 },
        encoding: {
          x: {
            field: 'physical',
            type: 'ordinal',
            title: 'physical layer',
            scale: { domain: Array.from({ length: physicalLayers }, (_, index) => index) },
            axis: { values: multiples(every, physicalLayers), labelAngle: 0, grid: false },
          },
          y: {
            field: 'virtual',
            type: 'ordinal',
            title: 'virtual layer',
            axis: { values: multiples(every, layers.length), grid: false },
          },
          color: {
            field: 'use',
            type: 'nominal',
            scale: { domain: told, range: told.map((_, index) => palette[index]!) },
            legend: { title: null, orient: 'bottom', symbolType: 'square' },
          },
        },
      };
    }),
  };
}

const multiples = (every: number, below: number): number[] =>
  Array.from({ length: Math.ceil(below / every) }, (_, index) => index * every);

const mapText = (layers: readonly VirtualLayer[]): string => intervalsText(layerMap(layers));

/** Of long maps the beginning says enough: the picture has the rest. */
export function intervalsText(intervals: readonly (readonly [number, number])[]): string {
  const map = intervals.map(([start, end]) => `[${start},${end}]`);
  return map.length > 6 ? `[${map.slice(0, 5).join(',')},... ${map.length} intervals]` : `[${map.join(',')}]`;
}
