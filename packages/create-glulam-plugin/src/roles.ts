import { closest, distance } from 'fastest-levenshtein';
import { CreateError } from './errors.js';

export type RoleName = 'adapter' | 'family' | 'expansion' | 'engine' | 'evaluator' | 'format' | 'reporter';

/** What can be made, and what its package says and needs. */
export interface Role {
  readonly name: RoleName;
  /** For the one who chooses. */
  readonly hint: string;
  /** What the example does, for the README: "The adapter `x`: <summary>". */
  readonly summary: string;
  /** Core packages that its source imports besides `@glulam/plugin`. */
  readonly core: readonly ('tensors' | 'model' | 'trainer')[];
  readonly libraries: readonly ('zod' | 'rxjs')[];
  /** The part of a config that uses it. */
  readonly use: (kind: string) => Readonly<Record<string, unknown>>;
}

const train = 'train.jsonl';

export const roles: readonly Role[] = [
  {
    name: 'adapter',
    hint: 'what is trained on each virtual layer',
    summary: 'a trained factor for each output of some linear layers',
    core: ['model'],
    libraries: ['zod'],
    use: (kind) => ({ adapter: { kind }, data: { train } }),
  },
  {
    name: 'family',
    hint: 'how checkpoints of one architecture are read',
    summary: 'checkpoints of the Llama layout with a `model_type` of their own',
    core: ['model'],
    libraries: [],
    use: () => ({ data: { train } }),
  },
  {
    name: 'expansion',
    hint: 'which layers are laid out, and how often',
    summary: 'a block of layers is laid out several times over',
    core: ['model'],
    libraries: ['zod'],
    use: (kind) => ({ expansion: { kind, start: 1, end: 3 }, data: { train } }),
  },
  {
    name: 'engine',
    hint: 'what computes',
    summary: 'the plain reference engine with a fused operation of its own',
    core: ['tensors'],
    libraries: ['zod'],
    use: (kind) => ({ engine: { kind }, data: { train } }),
  },
  {
    name: 'evaluator',
    hint: 'what scores a model',
    summary: 'how many of the held-out tokens the model would have said itself',
    core: ['tensors', 'trainer'],
    libraries: ['zod'],
    use: (kind) => ({ data: { train, heldOut: 'held-out.jsonl' }, evaluate: { evaluators: [{ kind }] } }),
  },
  {
    name: 'format',
    hint: 'how rows of a data set are read',
    summary: 'rows `{ instruction, input?, output }`',
    core: ['trainer'],
    libraries: ['zod'],
    use: (kind) => ({ data: { train: { file: train, format: { kind } } } }),
  },
  {
    name: 'reporter',
    hint: 'what tells of a run',
    summary: 'losses and learning rates as a table in the run folder',
    core: ['trainer'],
    libraries: ['rxjs', 'zod'],
    use: (kind) => ({ data: { train }, reporters: [{ kind: 'console' }, { kind }] }),
  },
];

/** @throws CreateError ROLE_UNKNOWN, with the role that was meant, perhaps */
export function roleOf(name: string): Role {
  const role = roles.find((each) => each.name === name);
  if (role !== undefined) return role;
  const names = roles.map((each) => each.name);
  const near = closest(name, names);
  const meant = distance(name, near) <= 3 ? ` (did you mean "${near}"?)` : '';
  throw new CreateError('ROLE_UNKNOWN', `there is no role "${name}"${meant}; expected one of ${names.join(', ')}`);
}
