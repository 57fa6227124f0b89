import { point } from '@glulam/plugin';
import type { Block } from '../decoder/block.js';
import type { CheckpointConfig } from './checkpoint-config.js';
import type { ModelSpec } from './model-spec.js';

/** How checkpoints of one architecture are read. `kind` is the `model_type` in their `config.json`. */
export interface Family {
  /** As in `config.json`, such as `mistral`. */
  readonly kind: string;
  /**
   * Reads its fields one by one: each that it looks at counts as followed, and it refuses a value that it does not
   * compute. Fields that no family looks at are checked against the lists in config-keys.ts.
   *
   * @throws ModelError CONFIG_INVALID that names every field it cannot follow
   */
  describe(config: CheckpointConfig): ModelSpec;
  /** Blocks that its layers have and core does not, by their kind. */
  readonly blocks?: Readonly<Record<string, Block>> | undefined;
}

/** The point at which plugins contribute families. */
export const families = point<Family>('model.families', { describe: 'function' });
