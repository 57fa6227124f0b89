import { TensorsError } from '@glulam/tensors';
import { isaNames, type Isa } from './addon.js';

/**
 * What the variable GLULAM_ISA names; `auto` where it is empty or not set.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE where it names something else
 */
export function isaOfEnvironment(): Isa | 'auto' {
  const value = process.env['GLULAM_ISA'];
  if (value === undefined || value === '' || value === 'auto') return 'auto';
  const isa = isaNames.find((name) => name === value);
  if (isa !== undefined) return isa;
  throw new TensorsError(
    'ENGINE_UNAVAILABLE',
    `the variable GLULAM_ISA is "${value}"; expected auto, ${isaNames.join(', ')}`,
  );
}
