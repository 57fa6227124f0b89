import path from 'node:path';
import type { Composition } from '@glulam/plugin';
import { mapInputs, runConfigSchema, visibleYaml, type RunConfig } from '@glulam/trainer';
import { Document, isScalar, isSeq, visit } from 'yaml';
import type { WholeConfig } from '../ablation-folder.js';

/**
 * The config as a YAML file beside the report: without what are defaults anyway, and with paths relative to the report's
 * folder, since where that lies is nobody's business.
 */
export function repeatableConfig(config: WholeConfig, composition: Composition): string {
  const relative = (name: string): string =>
    path.isAbsolute(name) ? path.relative(config.out, name).split(path.sep).join('/') : name;
  const moved = (each: RunConfig): RunConfig => mapInputs(each, composition, relative);
  const { ablation, ...run } = config;
  const { base, expansion, adapter, data, out: _, reporters: __, ...rest } = moved(run);
  const { data: dataDefaults, ...defaults } = runConfigSchema.parse({ base, data: { train: data.train } });
  return inYaml({
    base,
    expansion,
    adapter,
    data: { train: data.train, ...without(data, dataDefaults) },
    ...without(rest, defaults),
    ablation: {
      seeds: ablation.seeds,
      variants: ablation.variants.map(({ name, expansion: each, adapter: chosen }) => ({
        name,
        expansion: each === 'none' ? each : moved({ ...run, expansion: each }).expansion,
        adapter: chosen,
      })),
    },
  });
}

/** On one line: lists of values or of such lists, as a layer map is, and records of values. */
function inYaml(value: object): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  const isFlat = (node: unknown): boolean => isSeq(node) && node.items.every(isScalar);
  visit(document, {
    Seq: (_, node) => void (node.flow = node.items.every((item) => isScalar(item) || isFlat(item))),
    Map: (_, node) => void (node.flow = node.items.every((pair) => isScalar(pair.value))),
  });
  return visibleYaml(document, { flowCollectionPadding: false });
}

/** A record without what another has alike. */
function without(value: object, defaults: object): object {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      const other = (defaults as Record<string, unknown>)[key];
      if (each === undefined || JSON.stringify(each) === JSON.stringify(other)) return [];
      return [[key, isRecord(each) && isRecord(other) ? without(each, other) : each]];
    }),
  );
}

const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
