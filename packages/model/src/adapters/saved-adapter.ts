import type { VirtualLayer } from '../expansion/virtual-layer.js';
import type { AdapterValues } from './adapter-values.js';
import type { Adapter, AdapterChoice } from './adapter.js';

/** An adapter as read: what it is, the virtual layers it was trained on, and its tensors by name. */
export interface SavedAdapter {
  /** Made from `choice`. */
  readonly adapter: Adapter;
  /** Kind and options, as a config would have them. */
  readonly choice: AdapterChoice;
  /** undefined: the base as it is. */
  readonly layers: readonly VirtualLayer[] | undefined;
  /** The trained tensors. */
  readonly values: AdapterValues;
  /** The base's name as the file says it. */
  readonly base: string | undefined;
  /** For people: what in the files has no use here. */
  readonly warnings: readonly string[];
}
